namespace AnchorScope.Checkpoints;

/// <summary>
/// Everything that affects a model's computation: its weights, and every file of its folder that determines sizes, constants, tokens,
/// prompts, pixels or answers. Two folders with the same identity give the same numbers.
/// </summary>
/// <param name="Weights">As <see cref="Checkpoint.Sha256"/>.</param>
/// <param name="Files">SHA-256 of the bytes of each existing file of <see cref="Names"/>, by name.</param>
public sealed record ModelIdentity(string Weights, IReadOnlyDictionary<string, string> Files)
{
    /// <summary>Names of all files, other than the weights, that affect the computation.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json",
        "chat_template.json", "chat_template.jinja",
        "chat_templates/default.jinja",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "tokenizer.model",
    ];

    /// <summary>The identity of a folder's files, with the digest of its weights.</summary>
    /// <exception cref="InputException">An existing file cannot be read.</exception>
    public static ModelIdentity Of(string folder, string weights) => new(
        weights,
        new SortedDictionary<string, string>(
            Names.Where(name => File.Exists(Path.Combine(folder, name))).ToDictionary(name => name,
                name => Digest.OfFile(Path.Combine(folder, name))),
            StringComparer.Ordinal));

    /// <summary>
    /// Descriptions of the differences from <paramref name="then"/>, for instance "config.json has changed"; empty if there are none. If
    /// <paramref name="then"/> has no files (as in head sets of older versions), only the weights are compared.
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

    /// <summary>Throws if something was made for another model. generation_config.json is ignored.</summary>
    /// <param name="made">The model that it was made for.</param>
    /// <param name="file">The file that states that model.</param>
    /// <param name="what">What was made, for instance "head set".</param>
    /// <param name="otherwise">Advice that is appended to the message.</param>
    /// <exception cref="InputException">It was made for another model.</exception>
    public void Require(ModelIdentity made, string file, string what, string otherwise)
    {
        // How tokens are chosen from the logits affects neither heads nor directions.
        if (WithoutGeneration.ChangesSince(made.WithoutGeneration) is { Count: > 0 } changes)
            throw InputException.At(file, what, "one that was made for this model",
                $"one for another: {string.Join("; ", changes)}{otherwise}");
    }

    /// <summary>The digests of files in a JSON section; empty if there is no such section.</summary>
    internal static IReadOnlyDictionary<string, string> ReadFiles(ConfigSection? section) => new SortedDictionary<string, string>(
        section?.Json.EnumerateObject().ToDictionary(p => p.Name, p => section.Text(p.Name)) ?? [], StringComparer.Ordinal);
}
