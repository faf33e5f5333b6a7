using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;
using AnchorScope.Server.Audit;

namespace AnchorScope.Server.Integrity;

/// <summary>A file of a checkpoint.</summary>
/// <param name="Name">Its path in the folder, with slashes.</param>
internal sealed record ManifestFile(string Name, string Sha256);

/// <summary>A file that is not as a manifest says.</summary>
/// <param name="Expected">SHA-256 of the manifest; null: the manifest does not have the file.</param>
/// <param name="Found">SHA-256 of the file; null: it is missing.</param>
internal sealed record ManifestDifference(string Name, string? Expected, string? Found)
{
    /// <summary>"changed", "missing" or "added".</summary>
    public string What => Expected is null ? "added" : Found is null ? "missing" : "changed";

    /// <summary>The difference as an error.</summary>
    public InputException Error(string folder) => InputException.At(Path.Combine(folder, Name), "SHA-256",
        Expected is null ? "no such file, as the manifest says" : $"{Expected}, as the manifest says", Found ?? "no such file");
}

/// <summary>
/// SHA-256 of every file of a checkpoint, as the in-toto statement of the OpenSSF's model signing (predicate
/// <c>https://model_signing/signature/v1.0</c>, serialisation by files).
/// </summary>
internal sealed record Manifest(string Name, IReadOnlyList<ManifestFile> Files, IReadOnlyList<string> Ignored)
{
    private const string StatementType = "https://in-toto.io/Statement/v1";
    private const string PredicateType = "https://model_signing/signature/v1.0";

    /// <summary>What version control keeps beside a checkpoint, as the OpenSSF's tool leaves it out.</summary>
    private static readonly string[] AlwaysIgnored = [".git", ".gitattributes", ".github", ".gitignore"];

    /// <summary>The manifest of a folder.</summary>
    /// <param name="without">A file that is left out, because it will be the manifest; null for none.</param>
    /// <exception cref="InputException">It has no files, or one cannot be read.</exception>
    public static Manifest Of(string folder, string? without)
    {
        if (!Directory.Exists(folder)) throw InputException.At(folder, "folder", "a checkpoint", "nothing");
        var own = without is null ? null : NameOf(folder, Path.GetFullPath(without));
        string[] ignored = own is null || own.StartsWith("..", StringComparison.Ordinal) ? AlwaysIgnored : [own, .. AlwaysIgnored];
        ManifestFile[] files = [
            .. Names(folder, ignored).Select(name => new ManifestFile(name, Digest.OfFile(Path.Combine(folder, name))))];
        return files.Length > 0
            ? new Manifest(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))), files, ignored)
            : throw InputException.At(folder, "files", "at least one", "none");
    }

    /// <summary>The statement: what is signed.</summary>
    public JsonObject Statement() => new()
    {
        ["_type"] = StatementType,
        ["subject"] = new JsonArray(new JsonObject { ["name"] = Name, ["digest"] = new JsonObject { ["sha256"] = RootOf(Files) } }),
        ["predicateType"] = PredicateType,
        ["predicate"] = new JsonObject
        {
            ["serialization"] = new JsonObject
            {
                ["method"] = "files", ["hash_type"] = "sha256", ["allow_symlinks"] = true,
                ["ignore_paths"] = new JsonArray([.. Ignored.Select(name => (JsonNode?)name)]),
            },
            ["resources"] = new JsonArray([.. Files.Select(file => (JsonNode?)new JsonObject
                { ["name"] = file.Name, ["algorithm"] = "sha256", ["digest"] = file.Sha256 })]),
        },
    };

    /// <summary>Reads a statement.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <exception cref="InputException">It is none of these.</exception>
    public static Manifest Read(ReadOnlySpan<byte> statement, string file)
    {
        var root = new JsonField(file, "", StrictJson.Parse(statement, file));
        Require(root.Get("_type"), StatementType);
        Require(root.Get("predicateType"), PredicateType);
        var serialization = root.Get("predicate").Get("serialization");
        Require(serialization.Get("method"), "files");
        Require(serialization.Get("hash_type"), "sha256");
        var files = new List<ManifestFile>();
        foreach (var item in root.Get("predicate").Get("resources").Items())
        {
            Require(item.Get("algorithm"), "sha256");
            var (name, hash) = (item.Get("name").Text(), item.Get("digest").Text());
            if (hash.Length != 64 || !hash.All(char.IsAsciiHexDigitLower)) throw item.Get("digest").Expected("a SHA-256 in hexadecimal");
            if (files.Exists(other => other.Name == name)) throw item.Get("name").Expected("another name than those before it");
            files.Add(new ManifestFile(name, hash));
        }
        JsonField[] subjects = [.. root.Get("subject").Items()];
        if (subjects.Length != 1) throw root.Get("subject").Expected("one subject");
        Require(subjects[0].Get("digest").Get("sha256"), RootOf(files));
        return new Manifest(subjects[0].Get("name").Text(), files,
            [.. (serialization.Find("ignore_paths")?.Items() ?? []).Select(item => item.Text())]);
    }

    /// <summary>What is not as it should be, in the order of the names.</summary>
    /// <param name="hash">SHA-256 of a file.</param>
    /// <exception cref="InputException">A file cannot be read.</exception>
    public async IAsyncEnumerable<ManifestDifference> Differences(string folder, Func<string, Task<string>> hash)
    {
        var there = Names(folder, Ignored).ToHashSet(StringComparer.Ordinal);
        foreach (var file in Files)
        {
            if (!there.Remove(file.Name)) yield return new ManifestDifference(file.Name, file.Sha256, null);
            else if (await hash(Path.Combine(folder, file.Name)) is var found && found != file.Sha256)
                yield return new ManifestDifference(file.Name, file.Sha256, found);
        }
        foreach (var added in there.Order(StringComparer.Ordinal))
            yield return new ManifestDifference(added, null, await hash(Path.Combine(folder, added)));
    }

    /// <summary>The first difference; null if every file is as it should be.</summary>
    public async Task<ManifestDifference?> FirstDifference(string folder)
    {
        await foreach (var difference in Differences(folder, path => Task.FromResult(Digest.OfFile(path)))) return difference;
        return null;
    }

    private static string RootOf(IReadOnlyList<ManifestFile> files) =>
        Convert.ToHexStringLower(SHA256.HashData([.. files.SelectMany(file => Convert.FromHexString(file.Sha256))]));

    private static void Require(JsonField field, string expected)
    {
        if (field.Text() != expected) throw field.Expected(expected);
    }

    // In the order of the parts of the paths, as the OpenSSF's tool sorts them.
    private static IEnumerable<string> Names(string folder, IReadOnlyList<string> ignored) => !Directory.Exists(folder) ? [] : Directory
        .EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None })
        .Select(path => NameOf(folder, path))
        .Where(name => !ignored.Any(path => name == path || name.StartsWith(path + "/", StringComparison.Ordinal)))
        .OrderBy(name => name.Replace('/', '\0'), StringComparer.Ordinal);

    private static string NameOf(string folder, string path) => Path.GetRelativePath(folder, path).Replace('\\', '/');
}
