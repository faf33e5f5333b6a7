using AnchorScope.Conflicts;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Studies.Interchange;

/// <summary>Donors differ from the receiver in their factor and in nothing else.</summary>
public sealed class DonorFinderTests : IDisposable
{
    private readonly VisionLanguageModel _model = VisionLanguageModel.Open(Path.Combine(Fixtures.Root, "models", "relay"));
    private readonly IReadOnlyList<ConflictSample> _samples = ConflictSet.Load(Path.Combine(Fixtures.Conflicts, "rank.jsonl")).Samples;

    public static TheoryData<string> Factors => new(Enum.GetNames<DonorFactor>());

    private DonorFinder Finder(ulong seed = 0) => new(_samples, _model.Tokenizer, seed);

    [Theory]
    [MemberData(nameof(Factors))]
    public void ADonor_DiffersInItsFactorAlone(string name)
    {
        var factor = Enum.Parse<DonorFactor>(name);
        var found = 0;
        foreach (var receiver in _samples.Take(30).SelectMany(s => s.Runs))
        {
            foreach (var donor in Finder().Of(receiver, factor, SpanAlignment.Equal).Take(3))
            {
                found++;
                var (own, other) = (receiver.Sample, donor.Run.Sample);
                Assert.Equal(factor is DonorFactor.Picture or DonorFactor.Crossed, own.Image != other.Image);
                Assert.Equal(factor is DonorFactor.Note or DonorFactor.Crossed, own.TextContext != other.TextContext);
                Assert.Equal(factor is DonorFactor.Question, own.Question != other.Question);
                Assert.Equal(factor is DonorFactor.Instruction or DonorFactor.Crossed, receiver.Instruction != donor.Run.Instruction);
                Assert.Equal(
                    factor is DonorFactor.Instruction or DonorFactor.Crossed or DonorFactor.Phrasing,
                    own.Instructions[receiver.Instruction] != other.Instructions[donor.Run.Instruction]);
                Assert.Equal(Lengths(receiver), Lengths(donor.Run));
            }
        }
        Assert.True(found >= 30, $"{found}");
    }

    [Fact]
    public void ACrossedDonor_AnswersWithWordsThatTheReceiverDoesNotKnow()
    {
        foreach (var receiver in _samples.Take(30).SelectMany(s => s.Runs))
        {
            foreach (var donor in Finder().Of(receiver, DonorFactor.Crossed, SpanAlignment.Equal).Take(3))
            {
                var from = _samples.First(s => s.Id == donor.From);
                Assert.Equal(receiver.Sample.Category, from.Category);
                Assert.Empty(from.Answers.Values.SelectMany(a => a).Intersect(receiver.Sample.Answers.Values.SelectMany(a => a)));
            }
        }
    }

    [Fact]
    public void Order_DependsOnSeedAndReceiverAlone()
    {
        var receiver = _samples[3].Runs.First();
        string[] Of(DonorFinder finder) => [.. finder.Of(receiver, DonorFactor.Question, SpanAlignment.Equal).Select(d => d.From)];
        Assert.Equal(Of(Finder()), Of(Finder()));
        Assert.NotEqual(Of(Finder()), Of(Finder(1)));
        Assert.NotEqual(
            Of(Finder()), [.. Finder().Of(_samples[4].Runs.First(), DonorFactor.Question, SpanAlignment.Equal).Select(d => d.From)]);
    }

    [Fact]
    public void PicturesAndNotes_AreExchangedInRunsThatFollowThem()
    {
        Assert.Empty(Finder().Of(new ConflictRun(_samples[0], Modality.Text), DonorFactor.Picture, SpanAlignment.Equal));
        Assert.Empty(Finder().Of(new ConflictRun(_samples[0], Modality.Vision), DonorFactor.Note, SpanAlignment.Equal));
    }

    [Fact]
    public void OneInstructionOnly_HasNoDonor()
    {
        var one = _samples[0] with
            { Instructions = new Dictionary<Modality, string> { [Modality.Text] = _samples[0].Instructions[Modality.Text] } };
        Assert.All(Enum.GetValues<DonorFactor>(),
            factor => Assert.Empty(Finder().Of(new ConflictRun(one, Modality.Text), factor, SpanAlignment.Equal)));
    }

    private int[] Lengths(ConflictRun run) =>
        [.. new[] { run.Sample.TextContext!, run.Sample.Question, run.Sample.Instructions[run.Instruction] }
            .Select(t => _model.Tokenizer.Encode(t, addSpecial: false).Count)];

    public void Dispose() => _model.Dispose();
}
