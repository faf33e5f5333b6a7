using AnchorScope.Checkpoints;
using AnchorScope.Interventions;
using AnchorScope.Models;

namespace AnchorScope.Baking;

/// <summary>The first half of the proof: every byte of a baked folder is the original's or the expected product.</summary>
internal sealed class BakedFiles
{
    private readonly Checkpoint _original, _baked;
    private readonly BakePlan _plan;
    private readonly string _claim, _done;
    private readonly Dictionary<ChangedTensor, long> _rounded = [];
    private readonly List<string> _wrong = [], _untouched = [], _headers = [];

    /// <param name="baked">Any checkpoint.</param>
    public BakedFiles(VisionLanguageModel original, VisionLanguageModel baked, HeadGains gains)
        : this(original.Checkpoint, baked.Checkpoint, new BakePlan(original, gains),
            "heads' columns = round(original x factor), the rest of them untouched", "multiplied")
    {
    }

    /// <param name="claim">The property of the changed tensors that is checked.</param>
    /// <param name="done">What was done to the changed values.</param>
    internal BakedFiles(Checkpoint original, Checkpoint baked, BakePlan plan, string claim, string done) =>
        (_original, _baked, _plan, _claim, _done) = (original, baked, plan, claim, done);

    /// <summary>Number of products that the stored type cannot represent exactly; known after <see cref="Check"/>.</summary>
    public long Rounded => _rounded.Values.Sum();

    /// <summary>Reads both folders once.</summary>
    /// <param name="record">The folder's provenance record, to be compared with the findings; null: not compared.</param>
    /// <param name="progress">Called with the bytes of weights compared and the total.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IReadOnlyList<BakedCheck> Check(BakedRecord? record, Action<long, long>? progress = null, CancellationToken cancel = default)
    {
        var checks = new List<BakedCheck> { Others(cancel) };
        var (names, found) = (_original.Files.Select(Name).ToList(), _baked.Files.Select(Name).ToList());
        if (!names.SequenceEqual(found))
            return [.. checks,
                new BakedCheck("the same weight files", $"{string.Join(", ", found)} instead of {string.Join(", ", names)}", false)];
        var done = 0L;
        for (var i = 0; i < _original.Files.Count; i++)
        {
            if (_original.Files[i].Length != _baked.Files[i].Length)
                return [.. checks, new BakedCheck("the same weight files",
                    $"{names[i]} has {_baked.Files[i].Length} bytes instead of {_original.Files[i].Length}", false)];
            Compare(_original.Files[i], _baked.Files[i], piece => progress?.Invoke(done += piece, _plan.Bytes), cancel);
        }
        var tensors = _original.Files.Sum(file => file.Tensors.Count);
        checks.Add(Verdict("headers byte for byte", $"{Plural.Of(names.Count, "weight file")}", _headers));
        checks.Add(Verdict("other tensors byte for byte", $"{tensors - _plan.Tensors.Count} of {tensors}", _untouched));
        checks.Add(Verdict(
            _claim, $"{Plural.Of(_plan.Tensors.Count, "tensor")}, {Plural.Of(_plan.Tensors.Sum(t => t.Values), "value")} {_done}, "
                + $"{Rounded} of them rounded", _wrong));
        if (record is not null) checks.Add(Says(record));
        return checks;
    }

    private BakedCheck Says(BakedRecord record)
    {
        const string What = "baked.json says the same";
        if (_original.Identity.ChangesSince(new(record.SourceSha256, record.SourceFiles)) is { Count: > 0 } changes)
            return new BakedCheck(What, $"it was made from another model: {string.Join("; ", changes)}", false);
        BakedTensor[] tensors = [
            .. _plan.Tensors.Select(t => new BakedTensor(Name(t.File), t.Entry.Name, t.Entry.Type.Name, t.Values, _rounded[t]))];
        return new BakedCheck(What, $"source, {record.HeadCount}, {Plural.Of(record.Tensors.Count, "tensor")}",
            record.Tensors.SequenceEqual(tensors));
    }

    private BakedCheck Others(CancellationToken cancel)
    {
        const string What = "other files byte for byte";
        var (names, found) = (CheckpointFiles.Of(_original), CheckpointFiles.Of(_baked));
        if (names.Except(found, StringComparer.Ordinal).FirstOrDefault() is { } missing)
            return new BakedCheck(What, $"{missing} is missing", false);
        if (found.Except(names, StringComparer.Ordinal).FirstOrDefault() is { } added)
            return new BakedCheck(What, $"the original has no {added}", false);
        foreach (var name in names)
        {
            using var file = MappedFile.Open(Path.Combine(_original.Folder, name));
            using var copy = MappedFile.Open(Path.Combine(_baked.Folder, name));
            var same = file.Length == copy.Length;
            if (same) CheckpointFiles.Read(file, (at, piece) => same &= piece.SequenceEqual(copy.Slice(at, piece.Length)), cancel);
            if (!same) return new BakedCheck(What, $"{name} differs", false);
        }
        return new BakedCheck(What, $"{Plural.Of(names.Count, "file")}", true);
    }

    private void Compare(SafetensorsFile original, SafetensorsFile baked, Action<int> progress, CancellationToken cancel)
    {
        foreach (var stretch in _plan.Stretches(original))
        {
            var count = _plan.Read(
                original, stretch,
                (at, piece) =>
                {
                    var found = baked.Slice(at, piece.Length);
                    var same = piece.CommonPrefixLength(found);
                    if (same < piece.Length) Note(original, at + same);
                    progress(piece.Length);
                },
                cancel);
            if (stretch.Tensor is { } tensor) _rounded[tensor] = count;
        }
    }

    /// <summary>Records a difference at a byte of a file by the kind of content there.</summary>
    private void Note(SafetensorsFile file, long at)
    {
        var entry = file.Tensors.Values.FirstOrDefault(t => at >= t.Offset && at < t.Offset + t.Bytes);
        if (entry is null) _headers.Add($"{Name(file)} differs at byte {at}");
        else if (_plan.Tensors.FirstOrDefault(t => t.Entry == entry) is null) _untouched.Add($"{entry.Name} differs");
        else
            _wrong.Add($"{entry.Name}[{(at - entry.Offset) / entry.Type.Bytes() / entry.Shape[1]}, "
                + $"{(at - entry.Offset) / entry.Type.Bytes() % entry.Shape[1]}] differs");
    }

    private static BakedCheck Verdict(string what, string found, List<string> wrong) =>
        wrong.Count == 0 ? new BakedCheck(what, found, true) : new BakedCheck(what, wrong[0], false);

    private static string Name(SafetensorsFile file) => Path.GetFileName(file.Path);
}
