namespace AnchorScope.Checkpoints;

/// <summary>
/// All that decides what a model computes: its weights, and every file of its folder from which sizes, constants, tokens, prompts, pixels and
/// answers follow. Two folders with the same identity give the same numbers.
/// </summary>
/// <param name="Weights">As <see cref="Checkpoint.Sha256"/>.</param>
/// <param name="Files">SHA-256 of the bytes of each of these files that is there, by name.</param>
public sealed record ModelIdentity(string Weights, IReadOnlyDictionary<string, string> Files)
{
    /// <summary>Every file beside the weights that is read to compute something.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json", "chat_template.json", "chat_template.jinja",
        "chat_templates/default.jinja",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
    ];

    /// <summary>That of a folder's files, with the digest of its weights.</summary>
    /// <exception cref="InputException">A file is there and cannot be read.</exception>
    public static ModelIdentity Of(string folder, string weights) => new(
        weights,
        new SortedDictionary<string, string>(
            Names.Where(name => File.Exists(Path.Combine(folder, name))).ToDictionary(name => name, name => Digest.OfFile(Path.Combine(folder, name))),
            StringComparer.Ordinal));

    /// <summary>
    /// What differs from <paramref name="then"/>, in words: "config.json has changed"; empty where nothing does. Without files there (as in head
    /// sets of older versions) the weights alone are compared.
    /// </summary>
    public IReadOnlyList<string> ChangesSince(ModelIdentity then)
    {
        var changes = new List<string>();
        if (Weights != then.Weights) changes.Add($"other weights (sha256 {Digest.Short(then.Weights)} then, {Digest.Short(Weights)} now)");
        if (then.Files.Count == 0) return changes;
        foreach (var name in then.Files.Keys.Union(Files.Keys).Order(StringComparer.Ordinal))
        {
            var (old, now) = (then.Files.GetValueOrDefault(name), Files.GetValueOrDefault(name));
            if (old != now) changes.Add(now is null ? $"{name} is gone" : old is null ? $"{name} is new" : $"{name} has changed");
        }
        return changes;
    }

    private ModelIdentity WithoutGeneration => this with
    {
        Files = Files.Where(f => f.Key != "generation_config.json").ToDictionary(StringComparer.Ordinal),
    };

    /// <summary>Refuses what was made for another model; generation_config.json does not count.</summary>
    /// <param name="made">The model that it was made for.</param>
    /// <param name="file">The file that says so.</param>
    /// <param name="what">"head set".</param>
    /// <param name="otherwise">How to go on.</param>
    /// <exception cref="InputException">This is another model.</exception>
    public void Require(ModelIdentity made, string file, string what, string otherwise)
    {
        // How tokens are drawn from the logits changes neither heads nor directions.
        if (WithoutGeneration.ChangesSince(made.WithoutGeneration) is { Count: > 0 } changes)
            throw InputException.At(file, what, "one that was made for this model", $"one for another: {string.Join("; ", changes)}{otherwise}");
    }

    /// <summary>The digests of files in a section of JSON; none where there is no such section.</summary>
    internal static IReadOnlyDictionary<string, string> ReadFiles(ConfigSection? section) => new SortedDictionary<string, string>(
        section?.Json.EnumerateObject().ToDictionary(p => p.Name, p => section.Text(p.Name)) ?? [], StringComparer.Ordinal);
}
