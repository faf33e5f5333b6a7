using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>A donor run, whose activations are given to another run.</summary>
/// <param name="Run">The donor as it is run: the receiver's sample with the parts of the factor replaced.</param>
/// <param name="From">Id of the sample that the replaced parts come from.</param>
internal sealed record Donor(ConflictRun Run, string From);

/// <summary>
/// Finds donors in a conflict set. If the receiver's sample names a donor, that sample is used. Otherwise the donor is the receiver's own
/// sample with one part (crossed: three) taken from another sample of the set. The other instruction is the sample's own if it has the same
/// length, otherwise that of another sample. The order of candidates depends only on the seed and the receiver. Candidates whose parts have
/// other token counts are skipped.
/// </summary>
internal sealed class DonorFinder
{
    /// <summary>Maximum number of candidates whose prompts are built before a receiver counts as having no donor.</summary>
    public const int MostTried = 8;

    private readonly IReadOnlyList<ConflictSample> _samples;
    private readonly ulong _seed;
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private readonly Func<string, int> _count;
    private readonly IReadOnlyDictionary<string, ConflictSample> _named;

    /// <param name="samples">Conflicts of the set.</param>
    /// <param name="tokenizer">Used to compare the lengths of parts.</param>
    /// <param name="named">Further samples that may be named as donors, by id.</param>
    public DonorFinder(
        IReadOnlyList<ConflictSample> samples, Tokenizer tokenizer, ulong seed, IReadOnlyDictionary<string, ConflictSample>? named = null)
    {
        (_samples, _seed) = (samples, seed);
        _named = samples.Concat(named?.Values ?? []).DistinctBy(s => s.Id).ToDictionary(s => s.Id, StringComparer.Ordinal);
        _count = text => tokenizer.Encode(text, addSpecial: false).Count;
        foreach (var text in samples.SelectMany(Texts).Distinct(StringComparer.Ordinal)) _counts[text] = _count(text);
    }

    /// <summary>The finder of a set: it searches the set's conflicts, and all samples of the file for named donors.</summary>
    public static DonorFinder In(ConflictSet set, Tokenizer tokenizer, ulong seed) =>
        new([.. set.Samples.Where(s => s.Kind == SampleKind.Conflict)], tokenizer, seed, set.Donors);

    /// <summary>
    /// The donor that the receiver's sample names, or what was expected of it and what was found; null if it names none or if the factor
    /// changes nothing for this run.
    /// </summary>
    /// <param name="alignment">Whether parts must have the receiver's token counts.</param>
    public (Donor? Donor, string Expected, string Found)? Named(ConflictRun receiver, DonorFactor factor, SpanAlignment alignment)
    {
        var own = receiver.Sample;
        var other = receiver.Instruction == Modality.Vision ? Modality.Text : Modality.Vision;
        if (!own.Donors.TryGetValue(EnumName.Of(factor), out var id) || !own.Instructions.ContainsKey(other)) return null;
        if (!Applies(receiver, factor)) return null;
        if (!_named.TryGetValue(id, out var from)) return (null, "a sample that can be used", $"{id}, which was left out");
        var instructed = own.Instructions[receiver.Instruction];
        var said = from.Instructions.GetValueOrDefault(factor == DonorFactor.Phrasing ? receiver.Instruction : other);
        // Each exchanged part: its name, the receiver's text, the donor's text.
        (string Name, string? Own, string? From)[] parts = factor switch
        {
            DonorFactor.Instruction or DonorFactor.Phrasing => [("instruction", instructed, said)],
            DonorFactor.Question => [("question", own.Question, from.Question)],
            DonorFactor.Note => [("note", own.TextContext, from.TextContext)],
            DonorFactor.Crossed => [("instruction", instructed, said), ("question", own.Question, from.Question),
                ("note", own.TextContext, from.TextContext)],
            _ => [],
        };
        foreach (var (name, mine, theirs) in parts)
        {
            var one = $"{(name == "instruction" ? "an" : "a")} {name}";
            if (theirs is null) return (null, $"a sample with such {one}", $"{id} without");
            if (alignment == SpanAlignment.Equal && CountOf(mine) != CountOf(theirs))
                return (null, $"{one} of {Plural.Of(CountOf(mine), "token")}", $"{CountOf(theirs)} in {id}");
            if (mine == theirs && !(factor == DonorFactor.Crossed && name == "question"))
                return (null, $"another {name}", $"the same in {id}");
        }
        if (factor is DonorFactor.Picture or DonorFactor.Crossed && (from.Image is null || from.Image == own.Image))
            return (null, "a sample with another picture", $"{id} with {(from.Image is null ? "none" : "the same")}");
        foreach (var modality in Answering(factor))
        {
            if (!Differs(from, modality, own))
                return (null, "an answer that is none of the receiver's two", $"{from.Answers[modality][0]} in {id}");
        }
        return (new Donor(factor switch
        {
            DonorFactor.Instruction => new ConflictRun(With(own, other, said!), other),
            DonorFactor.Phrasing => receiver with { Sample = With(own, receiver.Instruction, said!) },
            DonorFactor.Question => receiver with { Sample = own with { Question = from.Question } },
            DonorFactor.Picture => receiver with { Sample = own with { Image = from.Image } },
            DonorFactor.Note => receiver with { Sample = own with { TextContext = from.TextContext } },
            _ => new ConflictRun(from, other),
        }, id), "", "");
    }

    /// <summary>The named donors of a set that do not fit, one line each. Their pairs are left out.</summary>
    public IEnumerable<RejectedLine> Unfit(ConflictSet set, SpanAlignment alignment) =>
        from run in set.Samples.Where(s => s.Kind == SampleKind.Conflict).SelectMany(s => s.Runs)
        from factor in Enum.GetValues<DonorFactor>()
        let named = Named(run, factor, alignment)
        where named is { Donor: null }
        select new RejectedLine(
            set.File, run.Sample.Line, run.Id,
            $"donors.{EnumName.Of(factor)}: expected {named.Value.Expected}, found {named.Value.Found}; the pair is left out");

    /// <summary>
    /// Whether the factor can matter for a run: another picture only if the run is instructed to follow the picture, another note only if
    /// it is instructed to follow the note.
    /// </summary>
    public static bool Applies(ConflictRun receiver, DonorFactor factor) => factor switch
    {
        DonorFactor.Picture => receiver.Instruction == Modality.Vision,
        DonorFactor.Note => receiver.Instruction == Modality.Text,
        _ => true,
    };

    private static Modality[] Answering(DonorFactor factor) => factor switch
    {
        DonorFactor.Picture => [Modality.Vision],
        DonorFactor.Note => [Modality.Text],
        DonorFactor.Crossed => [Modality.Vision, Modality.Text],
        _ => [],
    };

    /// <summary>
    /// Possible donors of <paramref name="receiver"/>, best first. If a donor is named: only that one, or none if it does not fit.
    /// </summary>
    /// <param name="alignment">Whether parts must have the receiver's token counts.</param>
    public IEnumerable<Donor> Of(ConflictRun receiver, DonorFactor factor, SpanAlignment alignment)
    {
        var own = receiver.Sample;
        var other = receiver.Instruction == Modality.Vision ? Modality.Text : Modality.Vision;
        if (!own.Instructions.ContainsKey(other)) return [];
        if (Named(receiver, factor, alignment) is { } named) return named.Donor is { } donor ? [donor] : [];
        bool Long(string? a, string? b) => alignment == SpanAlignment.End || CountOf(a) == CountOf(b);
        var others = Shuffled(receiver, factor).Where(s => s.Id != own.Id);
        // The sample's own other instruction or, if its length differs, that of another sample.
        var instructed = own.Instructions[receiver.Instruction];
        var (text, by) = others.Prepend(own).Where(s => s.Instructions.TryGetValue(other, out var said) && Long(said, instructed))
            .Select(s => (s.Instructions[other], s.Id)).FirstOrDefault((own.Instructions[other], own.Id));
        var crossed = With(own, other, text);
        return factor switch
        {
            DonorFactor.Instruction => [new Donor(new ConflictRun(crossed, other), by)],
            DonorFactor.Phrasing => from s in others
                                    where s.Instructions.TryGetValue(receiver.Instruction, out var text)
                                        && text != own.Instructions[receiver.Instruction]
                                        && Long(text, own.Instructions[receiver.Instruction])
                                    select new Donor(receiver with
                                        { Sample = With(own, receiver.Instruction, s.Instructions[receiver.Instruction]) }, s.Id),
            DonorFactor.Question => from s in others
                                    where s.Question != own.Question && (s.Category != own.Category || own.Category.Length == 0)
                                        && Long(s.Question, own.Question)
                                    select new Donor(receiver with { Sample = own with { Question = s.Question } }, s.Id),
            DonorFactor.Picture => from s in others
                                   where receiver.Instruction == Modality.Vision && own.Image is not null && s.Image is not null
                                       && s.Image != own.Image && Asks(s, own) && Differs(s, Modality.Vision, own)
                                   select new Donor(receiver with { Sample = own with { Image = s.Image } }, s.Id),
            DonorFactor.Note => from s in others
                                where receiver.Instruction == Modality.Text && own.TextContext is not null && s.TextContext is not null
                                    && s.TextContext != own.TextContext && Asks(s, own)
                                    && Differs(s, Modality.Text, own) && Long(s.TextContext, own.TextContext)
                                select new Donor(receiver with { Sample = own with { TextContext = s.TextContext } }, s.Id),
            _ => from s in others
                 where s.Image is not null && s.TextContext is not null && s.Image != own.Image
                     && s.TextContext != own.TextContext && Asks(s, own)
                     && Differs(s, Modality.Vision, own) && Differs(s, Modality.Text, own) && Long(s.TextContext, own.TextContext)
                 select new Donor(new ConflictRun(crossed with { Image = s.Image, TextContext = s.TextContext }, other), s.Id),
        };
    }

    private static ConflictSample With(ConflictSample sample, Modality modality, string instruction) =>
        sample with { Instructions = sample.Instructions.ToDictionary(i => i.Key, i => i.Key == modality ? instruction : i.Value) };

    /// <summary>
    /// Whether another sample asks for the same property, so that its answers are those that its content would give: by category or,
    /// without one, by the question itself.
    /// </summary>
    private static bool Asks(ConflictSample sample, ConflictSample own) =>
        own.Category.Length > 0 ? sample.Category == own.Category : sample.Question == own.Question;

    private static bool Differs(ConflictSample sample, Modality modality, ConflictSample own)
    {
        var known = own.Answers.Values.SelectMany(a => a).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return !sample.Answers.GetValueOrDefault(modality, []).Any(known.Contains);
    }

    private int CountOf(string? text) => text is null ? -1 : _counts.TryGetValue(text, out var count) ? count : _count(text);

    private static IEnumerable<string> Texts(ConflictSample sample) =>
        sample.Instructions.Values.Append(sample.Question).Append(sample.TextContext ?? "").Where(t => t.Length > 0);

    /// <summary>All samples, in an order specific to the receiver and factor.</summary>
    private IEnumerable<ConflictSample> Shuffled(ConflictRun receiver, DonorFactor factor)
    {
        var mixed = _seed;
        foreach (var c in $"{receiver.Id}/{EnumName.Of(factor)}") mixed = SplitMix.At(mixed ^ c, 0);
        var random = new SplitMix(mixed);
        return _samples.Select(s => (s, key: random.Next())).OrderBy(p => p.key).Select(p => p.s);
    }
}
