using System.Globalization;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Tensors;

namespace AnchorScope.Studies;

/// <summary>
/// Everything that affects a run's numbers, by name: the tool and its numerics, the files of the model, the data including every picture,
/// and the settings. A run may be resumed only by a run with the same identity.
/// </summary>
internal sealed class RunIdentity
{
    private const int Version = 4;
    private const string Tool = "tool", Kernels = "numerics", Model = "model", Data = "data", Settings = "settings", Weights = "weights",
        Pictures = "pictures", Samples = "samples";

    /// <summary>Names and values by section, in the order in which they are written.</summary>
    private readonly SortedDictionary<string, SortedDictionary<string, string>> _sections = new(StringComparer.Ordinal);

    private RunIdentity(string tool, string numerics)
    {
        foreach (var section in new[] { Model, Data, Settings }) _sections[section] = new(StringComparer.Ordinal);
        _sections[Tool] = new(StringComparer.Ordinal) { [Tool] = tool, [Kernels] = numerics };
    }

    /// <summary>The identity of this version of the tool, to which the rest is added.</summary>
    public RunIdentity()
        : this(ToolVersion.Text, Numerics.Version.ToString(CultureInfo.InvariantCulture))
    {
    }

    /// <summary>Adds a model.</summary>
    public RunIdentity With(ModelIdentity model)
    {
        _sections[Model][Weights] = model.Weights;
        foreach (var (name, sha256) in model.Files) _sections[Model][name] = sha256;
        return this;
    }

    /// <summary>Adds sets with their pictures, and the prompt layout.</summary>
    public RunIdentity With(DiagnosisData data)
    {
        foreach (var set in data.Sets) With(set.Name, set);
        return WithFile(PromptLayout.FileName, Path.Combine(data.Folder, PromptLayout.FileName));
    }

    /// <summary>Adds a set with its pictures.</summary>
    public RunIdentity With(string name, ConflictSet set)
    {
        _sections[Data][$"{name}: {Path.GetFileName(set.File)}"] = set.Sha256;
        _sections[Data][$"{Pictures} of {name}"] = set.PicturesSha256;
        _sections[Data][$"{Samples} of {name}"] = set.Samples.Count.ToString(CultureInfo.InvariantCulture);
        return this;
    }

    /// <summary>Adds a file of the data, if it exists.</summary>
    public RunIdentity WithFile(string name, string path)
    {
        if (File.Exists(path)) _sections[Data][name] = Digest.OfFile(path);
        return this;
    }

    /// <summary>Adds bytes of the data, of which only the digest is kept.</summary>
    public RunIdentity WithBytes(string name, ReadOnlySpan<byte> bytes)
    {
        _sections[Data][name] = Digest.Of(bytes);
        return this;
    }

    /// <summary>Adds a setting under the name of its option. Null: the option is not used.</summary>
    public RunIdentity With(string option, object? value)
    {
        if (value is not null) _sections[Settings][option] = Convert.ToString(value, CultureInfo.InvariantCulture)!;
        return this;
    }

    /// <summary>Adds a setting that is a list.</summary>
    public RunIdentity WithList<T>(string option, IEnumerable<T> values) =>
        With(option, string.Join(',', values.Select(v => Convert.ToString(v, CultureInfo.InvariantCulture))));

    /// <summary>Removes the model. The rest is what the runs of a series have in common.</summary>
    public RunIdentity WithoutModel()
    {
        _sections[Model].Clear();
        return this;
    }

    /// <summary>Removes some settings.</summary>
    public RunIdentity Without(params string[] options)
    {
        foreach (var option in options) _sections[Settings].Remove(option);
        return this;
    }

    /// <summary>The settings by the names of their options.</summary>
    public IReadOnlyDictionary<string, string> Options => _sections[Settings];

    /// <summary>The identity as indented JSON.</summary>
    public string Text => JsonSerializer.Serialize(Json, DiagnosisFiles.Form) + "\n";

    /// <summary>The identity as JSON on one line.</summary>
    public string Line => JsonSerializer.Serialize(Json);

    private Dictionary<string, object> Json => new(StringComparer.Ordinal)
    {
        ["version"] = Version,
        [Tool] = _sections[Tool][Tool],
        [Kernels] = int.Parse(_sections[Tool][Kernels], CultureInfo.InvariantCulture),
        [Model] = _sections[Model],
        [Data] = _sections[Data],
        [Settings] = _sections[Settings],
    };

    /// <summary>Throws if another run cannot be resumed by this one.</summary>
    /// <param name="json">The identity that the other run wrote.</param>
    /// <param name="file">The file that contains it, for messages.</param>
    /// <param name="instead">What to do instead, for instance "name another folder with --out".</param>
    /// <exception cref="InputException">The identities differ, or the text is not an identity; the message lists the
    /// differences.</exception>
    public void Check(string json, string file, string instead)
    {
        var differences = ChangesSince(Parse(json, file, instead));
        if (differences.Count == 0) return;
        const int Shown = 6;
        var more = differences.Count > Shown ? $"; {differences.Count - Shown} more" : "";
        throw new InputException($"{file}: belongs to another run: {string.Join("; ", differences.Take(Shown))}{more}; {instead}");
    }

    /// <summary>Descriptions of the differences from <paramref name="then"/>.</summary>
    public IReadOnlyList<string> ChangesSince(RunIdentity then)
    {
        var changes = new List<string>();
        foreach (var section in new[] { Settings, Data, Model, Tool })
        {
            var (old, now) = (then._sections[section], _sections[section]);
            bool Changed(string name) => old.GetValueOrDefault(name) != now.GetValueOrDefault(name);
            // If the number of samples differs, the pictures differ too. That is not reported separately.
            bool Follows(string name) => name.StartsWith(Pictures, StringComparison.Ordinal) && Changed(Samples + name[Pictures.Length..]);
            foreach (var name in old.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
            {
                if (Changed(name) && !Follows(name))
                    changes.Add(Change(section, name, old.GetValueOrDefault(name), now.GetValueOrDefault(name)));
            }
        }
        return changes;
    }

    private static string Change(string section, string name, string? before, string? after) => section switch
    {
        Settings => $"made {Used(name, before)}, now {Used(name, after)}",
        Tool => name == Tool ? $"made by {before}, this is {after}" : $"made with {name} {before}, this is {name} {after}",
        Data when name.StartsWith(Samples, StringComparison.Ordinal) => $"{name}: {before ?? "none"} then, {after ?? "none"} now",
        _ => $"{(section == Model ? "the model's " : "")}{name} {(before is null ? "is new" : after is null ? "is gone" : Changed(name))}",
    };

    private static string Changed(string name) =>
        name == Weights || name.StartsWith(Pictures, StringComparison.Ordinal) ? "have changed" : "has changed";

    private static string Used(string option, string? value) => value is null ? $"without {option}" : $"with {option} {Quoted.Line(value)}";

    private static RunIdentity Parse(string json, string file, string instead)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            if (root.GetProperty("version").GetInt32() is var version && version != Version)
                throw new InputException($"{file}: written by {(version < Version ? "an older" : "a newer")} version of this tool (form "
                    + $"{version}, here {Version}), which kept {(version < Version ? "less" : "more")} of what decides a number; "
                    + $"{instead}");
            var identity = new RunIdentity(root.GetProperty(Tool).GetString()!, root.GetProperty(Kernels).GetRawText());
            foreach (var section in new[] { Model, Data, Settings })
            {
                foreach (var entry in root.GetProperty(section).EnumerateObject())
                    identity._sections[section][entry.Name] = entry.Value.GetString()!;
            }
            return identity;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InputException($"{file}: not the record of a run, which says what its rows belong to; {instead}", e);
        }
    }
}
