using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Prompts;

namespace AnchorScope.Studies;

/// <summary>A run whose activations another one is given.</summary>
/// <param name="Run">The sample as it is run: the receiver's own parts but for those that the factor replaces.</param>
/// <param name="From">Sample that the replaced parts come from.</param>
internal sealed record Donor(ConflictRun Run, string From);

/// <summary>
/// Finds donors inside a conflict set: the receiver's own sample with one part (crossed: three) taken from another sample of the set. The other instruction is the sample's own
/// where it has the same length, else one of another sample. Candidates come in an order that
/// depends on the seed and the receiver alone; those whose parts have other token counts are passed over.
/// </summary>
internal sealed class DonorFinder
{
    /// <summary>Candidates whose prompts are built, at most, before a receiver counts as one without a donor.</summary>
    public const int MostTried = 8;

    private readonly IReadOnlyList<ConflictSample> _samples;
    private readonly ulong _seed;
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private readonly Func<string, int> _count;

    /// <param name="samples">Conflicts of the set.</param>
    /// <param name="tokenizer">To compare the lengths of parts.</param>
    public DonorFinder(IReadOnlyList<ConflictSample> samples, Tokenizer tokenizer, ulong seed)
    {
        (_samples, _seed) = (samples, seed);
        _count = text => tokenizer.Encode(text, addSpecial: false).Count;
        foreach (var text in samples.SelectMany(Texts).Distinct(StringComparer.Ordinal)) _counts[text] = _count(text);
    }

    /// <summary>Possible donors of <paramref name="receiver"/>, best first.</summary>
    /// <param name="alignment">Whether parts must have the receiver's token counts.</param>
    public IEnumerable<Donor> Of(ConflictRun receiver, DonorFactor factor, SpanAlignment alignment)
    {
        var own = receiver.Sample;
        var other = receiver.Instruction == Modality.Vision ? Modality.Text : Modality.Vision;
        if (!own.Instructions.ContainsKey(other)) return [];
        bool Long(string? a, string? b) => alignment == SpanAlignment.End || CountOf(a) == CountOf(b);
        var others = Shuffled(receiver, factor).Where(s => s.Id != own.Id);
        // The sample's own other instruction, or where its length differs another sample's.
        var instructed = own.Instructions[receiver.Instruction];
        var (text, by) = others.Prepend(own).Where(s => s.Instructions.TryGetValue(other, out var said) && Long(said, instructed))
            .Select(s => (s.Instructions[other], s.Id)).FirstOrDefault((own.Instructions[other], own.Id));
        var crossed = With(own, other, text);
        return factor switch
        {
            DonorFactor.Instruction => [new Donor(new ConflictRun(crossed, other), by)],
            DonorFactor.Phrasing => from s in others
                                    where s.Instructions.TryGetValue(receiver.Instruction, out var text) && text != own.Instructions[receiver.Instruction]
                                        && Long(text, own.Instructions[receiver.Instruction])
                                    select new Donor(receiver with { Sample = With(own, receiver.Instruction, s.Instructions[receiver.Instruction]) }, s.Id),
            DonorFactor.Question => from s in others
                                    where s.Question != own.Question && (s.Category != own.Category || own.Category.Length == 0) && Long(s.Question, own.Question)
                                    select new Donor(receiver with { Sample = own with { Question = s.Question } }, s.Id),
            DonorFactor.Picture => from s in others
                                   where receiver.Instruction == Modality.Vision && own.Image is not null && s.Image is not null && s.Image != own.Image && Asks(s, own) && Differs(s, Modality.Vision, own)
                                   select new Donor(receiver with { Sample = own with { Image = s.Image } }, s.Id),
            DonorFactor.Note => from s in others
                                where receiver.Instruction == Modality.Text && own.TextContext is not null && s.TextContext is not null && s.TextContext != own.TextContext && Asks(s, own)
                                    && Differs(s, Modality.Text, own) && Long(s.TextContext, own.TextContext)
                                select new Donor(receiver with { Sample = own with { TextContext = s.TextContext } }, s.Id),
            _ => from s in others
                 where s.Image is not null && s.TextContext is not null && s.Image != own.Image && s.TextContext != own.TextContext && Asks(s, own)
                     && Differs(s, Modality.Vision, own) && Differs(s, Modality.Text, own) && Long(s.TextContext, own.TextContext)
                 select new Donor(new ConflictRun(crossed with { Image = s.Image, TextContext = s.TextContext }, other), s.Id),
        };
    }

    private static ConflictSample With(ConflictSample sample, Modality modality, string instruction) =>
        sample with { Instructions = sample.Instructions.ToDictionary(i => i.Key, i => i.Key == modality ? instruction : i.Value) };

    /// <summary>Whether another sample asks for the same, so that its answers tell what its contents would give: by category, or where there is none by the question itself.</summary>
    private static bool Asks(ConflictSample sample, ConflictSample own) => own.Category.Length > 0 ? sample.Category == own.Category : sample.Question == own.Question;

    private static bool Differs(ConflictSample sample, Modality modality, ConflictSample own)
    {
        var known = own.Answers.Values.SelectMany(a => a).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return !sample.Answers.GetValueOrDefault(modality, []).Any(known.Contains);
    }

    private int CountOf(string? text) => text is null ? -1 : _counts.TryGetValue(text, out var count) ? count : _count(text);

    private static IEnumerable<string> Texts(ConflictSample sample) =>
        sample.Instructions.Values.Append(sample.Question).Append(sample.TextContext ?? "").Where(t => t.Length > 0);

    /// <summary>All samples in an order of their own for each receiver and factor.</summary>
    private IEnumerable<ConflictSample> Shuffled(ConflictRun receiver, DonorFactor factor)
    {
        var mixed = _seed;
        foreach (var c in $"{receiver.Id}/{Variants.NameOf(factor)}") mixed = SplitMix.At(mixed ^ c, 0);
        var random = new SplitMix(mixed);
        return _samples.Select(s => (s, key: random.Next())).OrderBy(p => p.key).Select(p => p.s);
    }
}
