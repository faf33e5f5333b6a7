using System.Buffers.Text;
using System.Security.Cryptography;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>A picture of a request.</summary>
/// <param name="Sha256">Of the bytes that were sent.</param>
internal sealed record RequestPicture(Picture Picture, string Sha256);

/// <summary>Reads the pictures of a request from <c>data:</c> addresses. Nothing is fetched from a network.</summary>
internal static class PictureReader
{
    /// <summary>Decodes one picture.</summary>
    /// <param name="address"><c>data:image/...;base64,...</c></param>
    /// <param name="place">Its place in the request, for errors.</param>
    /// <exception cref="ApiException">It is no such address, or no picture.</exception>
    public static RequestPicture Read(string address, string place)
    {
        const string Scheme = "data:", Encoding = ";base64,";
        if (!address.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            throw new ApiException(400, $"{place}: expected a picture as data:image/png;base64,..., found an address that would have to be "
                + "fetched, which this server does not do", place, "invalid_image_url");
        var start = address.IndexOf(Encoding, StringComparison.OrdinalIgnoreCase);
        if (start < 0) throw Wrong(place, "expected base64 after data:...;base64,");
        var text = address.AsSpan(start + Encoding.Length);
        if (!Base64.IsValid(text)) throw Wrong(place, "expected base64, found something else");
        var bytes = Convert.FromBase64String(text.ToString());
        try
        {
            return new RequestPicture(Picture.Decode(bytes, place), Convert.ToHexStringLower(SHA256.HashData(bytes)));
        }
        catch (InputException e)
        {
            throw Wrong(place, e.Message);
        }
    }

    private static ApiException Wrong(string place, string why) =>
        new(400, why.StartsWith(place, StringComparison.Ordinal) ? why : $"{place}: {why}", place, "invalid_image");
}
