using System.Buffers.Text;
using System.Security.Cryptography;
using AnchorScope.Prompts;

namespace AnchorScope.Server.Api;

/// <summary>A picture of a request, as it was sent or fetched.</summary>
/// <param name="Bytes">The file.</param>
/// <param name="Place">Its place in the request, for errors.</param>
/// <param name="IsFetched">Whether the request had an address that it was fetched from.</param>
internal sealed record RequestPicture(byte[] Bytes, string Place, bool IsFetched)
{
    /// <summary>Of the bytes of the file.</summary>
    public string Sha256 { get; } = Convert.ToHexStringLower(SHA256.HashData(Bytes));
}

/// <summary>Reads the pictures of a request: from <c>data:</c> addresses, and from the hosts that the operator allows.</summary>
/// <param name="fetcher">Fetches pictures from a network; null: none is fetched.</param>
internal sealed class PictureReader(PictureFetcher? fetcher)
{
    /// <summary>Maximum number of pictures of a request.</summary>
    public const int MostPictures = 32;

    /// <summary>
    /// Maximum number of pixels, and proportions. A long and thin picture becomes much larger when its shorter side is resized to that of
    /// the model.
    /// </summary>
    private static readonly PictureLimit Limit = new(32_000_000, 50);

    /// <summary>The files of the pictures.</summary>
    /// <param name="pictures">Addresses, with their place in the request.</param>
    /// <exception cref="ApiException">An address is wrong or not allowed, or there are too many.</exception>
    public async Task<IReadOnlyList<RequestPicture>> Read(IReadOnlyList<(string Address, string Place)> pictures, CancellationToken cancel)
    {
        if (pictures.Count > MostPictures)
            throw new ApiException(400, $"messages: expected at most {MostPictures} pictures, found {pictures.Count}", "messages",
                "too_many_pictures");
        var read = new List<RequestPicture>();
        foreach (var (address, place) in pictures)
        {
            if (address.StartsWith("data:", StringComparison.OrdinalIgnoreCase))
                read.Add(new RequestPicture(Data(address, place), place, false));
            else if (fetcher is not null) read.Add(new RequestPicture(await fetcher.Fetch(address, place, cancel), place, true));
            else
                throw new ApiException(400,
                    $"{place}: expected a picture as data:image/png;base64,..., found an address that would have to be "
                        + "fetched, which this server does not do", place, "invalid_image_url");
        }
        return read;
    }

    /// <summary>Decodes one picture.</summary>
    /// <exception cref="ApiException">It is no picture, damaged, too large or too long and thin.</exception>
    public Picture Decode(RequestPicture picture)
    {
        try
        {
            return Picture.DecodeWithin(Limit, picture.Bytes, picture.Place);
        }
        catch (InputException e)
        {
            throw Wrong(picture.Place, e.Message);
        }
    }

    /// <summary>The bytes of <c>data:image/...;base64,...</c>.</summary>
    private static byte[] Data(string address, string place)
    {
        const string Encoding = ";base64,";
        var start = address.IndexOf(Encoding, StringComparison.OrdinalIgnoreCase);
        if (start < 0) throw Wrong(place, "expected base64 after data:...;base64,");
        var text = address.AsSpan(start + Encoding.Length);
        return Base64.IsValid(text)
            ? Convert.FromBase64String(text.ToString()) : throw Wrong(place, "expected base64, found something else");
    }

    private static ApiException Wrong(string place, string why) =>
        new(400, why.StartsWith(place, StringComparison.Ordinal) ? why : $"{place}: {why}", place, "invalid_image");
}
