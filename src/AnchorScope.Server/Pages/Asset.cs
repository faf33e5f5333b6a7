using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using AnchorScope.Figures;

namespace AnchorScope.Server.Pages;

/// <summary>A file that the pages refer to. All of them are inside the program; nothing is fetched from a network.</summary>
/// <param name="Type">Media type.</param>
internal sealed record Asset(string Type, byte[] Bytes)
{
    /// <summary>Changes with the bytes, so that a browser keeps a file only as long as it is right.</summary>
    public string Tag { get; } = Convert.ToHexStringLower(SHA256.HashData(Bytes))[..12];

    /// <summary>
    /// All of them by name: the style sheet of reports with that of the pages, htmx, our own script, the examples' pictures.
    /// </summary>
    public static IReadOnlyDictionary<string, Asset> LoadAll()
    {
        var css = PageStyle.Css + FigureStyle.ForPage + Encoding.UTF8.GetString(Read("pages/pages.css"));
        var all = new Dictionary<string, Asset>(StringComparer.Ordinal)
        {
            ["pages.css"] = new("text/css; charset=utf-8", Encoding.UTF8.GetBytes(css)),
            ["htmx.js"] = new("text/javascript; charset=utf-8", Read("pages/htmx.js")),
            ["pages.js"] = new("text/javascript; charset=utf-8", Read("pages/pages.js")),
        };
        foreach (var example in Example.All) all[$"{example.Name}.png"] = new("image/png", Picture(example.Name)!);
        return all;
    }

    /// <summary>The picture of an example; null: there is no such example.</summary>
    public static byte[]? Picture(string name) =>
        Example.All.Any(example => example.Name == name) ? Read($"pages/examples/{name}.png") : null;

    private static byte[] Read(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} is not a resource of this assembly");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
