using System.Text.Json;
using AnchorScope.Conflicts;
using AnchorScope.Prompts;
using AnchorScope.World;

namespace AnchorScope.Tests.World;

/// <summary>Packed samples parsed as text, independently of the code that generated them.</summary>
public sealed class PackedSampleTests
{
    private const int Some = 4000;

    private static readonly TrainingWorld World = new(9);
    private static readonly List<PackedSample> PhaseA = Draw(MixtureOptions.PhaseA, Some);
    private static readonly List<PackedSample> PhaseB = Draw(MixtureOptions.PhaseB, Some);

    [Fact]
    public void SampleFollowsFromSeedSplitAndIndexAlone()
    {
        var again = new PackedSample[20];
        Parallel.For(0, again.Length, i => again[i] = new TrainingWorld(9).Packed("test", i, MixtureOptions.PhaseA));
        for (var i = 0; i < again.Length; i++)
        {
            Assert.Equal(PhaseA[i].Tokens, again[i].Tokens);
            Assert.Equal(PhaseA[i].Turns, again[i].Turns);
            Assert.Equal(PhaseA[i].Picture?.Rgb, again[i].Picture?.Rgb);
        }
        Assert.NotEqual(Text(PhaseA[0]), Text(World.Packed("other", 0, MixtureOptions.PhaseA)));
        Assert.NotEqual(Text(PhaseA[0]), Text(new TrainingWorld(8).Packed("test", 0, MixtureOptions.PhaseA)));
    }

    [Fact]
    public void EveryWord_IsATokenOfTheOrganism()
    {
        var tokenizer = Tokenizer.Load(Fixtures.Organism);
        Assert.All(PhaseA.Concat(PhaseB).SelectMany(s => s.Tokens).Select(t => t.Word).Distinct(),
            word => Assert.NotNull(tokenizer.IdOf(word)));
        foreach (var sample in PhaseB.Take(50))
            Assert.Equal(sample.Tokens.Skip(1).Select(t => tokenizer.IdOf(t.Word)!.Value),
                tokenizer.Encode(string.Join(' ', sample.Tokens.Skip(1).Select(t => t.Word)), addSpecial: false).Select(t => t.Id));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Kinds_HaveTheirWeights(bool suffix)
    {
        var expected = suffix ? new[] { 0, 0.1, 0.1, 0.1, 0.7 } : [0.15, 0.10, 0.10, 0.10, 0.55];
        foreach (var kind in Enum.GetValues<PackedKind>())
            Frequency.Is($"{kind}", expected[(int)kind], Of(suffix).Count(s => s.Kind == kind), Some);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Tokens_AreContextAndTurns(bool suffix)
    {
        foreach (var sample in Of(suffix))
        {
            var words = sample.Tokens.Select(t => t.Word).ToList();
            Assert.Equal(["<bos>", "<user>"], words.Take(2));
            Assert.Equal(sample.Kind == PackedKind.TextOnly ? 0 : 16, words.Count(w => w == "<image>"));
            Assert.Equal(sample.Kind == PackedKind.TextOnly, sample.Picture is null);
            Assert.Equal(sample.Kind is not (PackedKind.ImageOnly or PackedKind.Caption), sample.Tokens.Any(t => t.Role == TokenRole.Note));
            var turns = sample.Kind == PackedKind.Caption ? 0 : 3;
            Assert.Equal(turns, sample.Turns.Count);
            Assert.Equal(Enumerable.Range(0, words.Count).Where(i => sample.Tokens[i].Role == TokenRole.Answer),
                sample.Turns.Select(t => t.Answer));
            foreach (var turn in sample.Turns)
            {
                Assert.Equal(turn == sample.Turns[^1], turn.Answer == words.Count - 1);
                if (turn != sample.Turns[^1]) Assert.Equal(["<eos>", "<user>"], words.GetRange(turn.Answer + 1, 2));
                Assert.Equal(suffix, words[turn.Answer - 1] == "<assistant>" && words[turn.Answer - 2] == "<end>");
            }
            Assert.All(sample.Tokens, t => Assert.Equal(t.Role switch
            {
                TokenRole.Answer => 1,
                TokenRole.Note or TokenRole.Question or TokenRole.Instruction => 0.05,
                TokenRole.Caption when t.Word is not ("caption" or ":") => 1,
                _ => 0,
            }, t.Weight));
            Assert.Equal(suffix ? 6 : 0, sample.Tokens.Count(t => t.Role == TokenRole.Suffix));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Turns_AskWhatIsSaid(bool suffix)
    {
        foreach (var sample in Of(suffix))
        {
            var note = sample.Tokens.Where(t => t.Role == TokenRole.Note).Select(t => t.Word).ToList();
            var start = 2 + 16 * (sample.Picture is null ? 0 : 1) + note.Count;
            foreach (var turn in sample.Turns)
            {
                var said = sample.Tokens.Take(turn.Answer).Skip(start).ToList();
                var instruction = string.Join(' ', said.Where(t => t.Role == TokenRole.Instruction).Select(t => t.Word));
                Assert.Equal(turn.Instructed, instruction.Length > 0);
                if (turn.Instructed) Assert.Equal(turn.Followed, InstructionText.Parse(instruction).Followed);
                if (turn.Instructed) Assert.All(InstructionText.Parse(instruction).Pairs, pair => Assert.False(pair.IsHeldOut));
                Assert.Equal(Question(turn.Asked),
                    Questions.Single(
                        q => q.Value.Contains(string.Join(' ', said.Where(t => t.Role == TokenRole.Question).Select(t => t.Word)))).Key);
                var answer = sample.Tokens[turn.Answer].Word;
                // The note describes the whole world: an answer that occurs in it is the note's, any other is the picture's.
                if (sample.Kind == PackedKind.Conflict && turn.Followed == Modality.Vision) Assert.DoesNotContain(answer, note);
                else if (note.Count > 0) Assert.Contains(answer, note);
                if (sample.Kind == PackedKind.ImageOnly) Assert.Equal(Modality.Vision, turn.Followed);
                if (sample.Kind == PackedKind.TextOnly) Assert.Equal(Modality.Text, turn.Followed);
                if (sample.Kind == PackedKind.Conflict) Assert.True(turn.Instructed);
                start = turn.Answer + 3;
            }
            Assert.Equal(sample.Turns.Count, sample.Turns.Select(t => (t.Asked, t.Followed)).Distinct().Count());
        }

        static string Question(Aspect aspect) => aspect.ToString().ToLowerInvariant();
    }

    [Fact]
    public void PicturesShowWhatIsAnswered()
    {
        // In the same sample without noise, the background colour identifies the place.
        var clean = Draw(MixtureOptions.PhaseA with { Sigma = new NoiseRange(0, 0) }, 500);
        var places = new Dictionary<(byte, byte, byte), string>
            { [(8, 8, 15)] = "night", [(194, 168, 117)] = "sand", [(10, 41, 87)] = "sea", [(31, 76, 26)] = "grass" };
        var seen = 0;
        foreach (var sample in clean.Where(s => s.Picture is not null))
        {
            var ground = sample.Picture!.Rgb.Chunk(3).Select(p => (p[0], p[1], p[2])).GroupBy(p => p).Where(g => places.ContainsKey(g.Key))
                .MaxBy(g => g.Count())!.Key;
            foreach (var turn in sample.Turns.Where(t => t.Asked == Aspect.Place && t.Followed == Modality.Vision))
            {
                Assert.Equal(places[ground], sample.Tokens[turn.Answer].Word);
                seen++;
            }
            if (sample.Kind == PackedKind.Caption) Assert.Contains(places[ground], sample.Tokens.Select(t => t.Word));
        }
        Assert.True(seen > 100);
    }

    [Fact]
    public void OrdersAndFormsHaveTheirWeights()
    {
        var withNote = PhaseA.Where(s => s.Kind is PackedKind.Agree or PackedKind.Conflict).ToList();
        Frequency.Is("note first", 0.3, withNote.Count(s => s.Tokens[2].Role == TokenRole.Note), withNote.Count);
        // The questions of a sample are drawn independently, one after the other.
        var free = PhaseA.Where(s => s.Kind != PackedKind.Conflict).SelectMany(s => s.Turns).ToList();
        Frequency.Is("instruction without conflict", 0.5, free.Count(t => t.Instructed), free.Count);
        var instructed = PhaseA.SelectMany(s => s.Turns.Where(t => t.Instructed).Select(t => (s, t))).ToList();
        Frequency.Is("question first", 0.8, instructed.Count(p => p.s.Tokens[p.t.Answer - 1].Role == TokenRole.Instruction),
            instructed.Count);
        var texts = PhaseA.SelectMany(Parsed).ToList();
        foreach (var (weight, form) in new[] { 0.76, 0.08, 0.12, 0.04 }.Select((w, i) => (w, i)))
            Frequency.Is($"form {form}", weight, texts.Count(t => t.Form == form), texts.Count);
        Assert.All(Draw(MixtureOptions.PhaseA with { Forms = [1, 0, 0, 0] }, 300).SelectMany(Parsed), text => Assert.Equal(0, text.Form));

        static IEnumerable<InstructionText> Parsed(PackedSample sample)
        {
            foreach (var turn in sample.Turns.Where(t => t.Instructed))
            {
                var first = turn.Answer;
                while (sample.Tokens[first - 1].Role is TokenRole.Question or TokenRole.Instruction or TokenRole.Suffix) first--;
                yield return InstructionText.Parse(
                    string.Join(
                        ' ', sample.Tokens.Take(turn.Answer).Skip(first).Where(t => t.Role == TokenRole.Instruction).Select(t => t.Word)));
            }
        }
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(1)]
    public void FirstTurns_FollowThePictureAsOftenAsSaid(double vision)
    {
        var first = Draw(MixtureOptions.PhaseA with { Vision = vision }, Some).Where(s => s.Kind is PackedKind.Agree or PackedKind.Conflict)
            .Select(s => s.Turns[0]).ToList();
        Frequency.Is("vision", vision, first.Count(t => t.Followed == Modality.Vision), first.Count);
    }

    [Fact]
    public void PhaseC_HasAnswersOnlyInTheLoss() =>
        Assert.All(Draw(MixtureOptions.PhaseC, 50),
            sample => Assert.Equal(sample.Turns.Select(t => t.Answer),
                Enumerable.Range(0, sample.Tokens.Count).Where(i => sample.Tokens[i].Weight > 0)));

    [Fact]
    public void Classification_IsLabelledAndSeldomTypical()
    {
        var samples = Enumerable.Range(0, 2000).Select(i => World.Classification("tower", i, new NoiseRange(0, 0))).ToList();
        Frequency.Is("typical", 0.3 + 0.7 / 8, samples.Count(s => s.World.IsTypical), samples.Count);
        byte[] red = [8, 194, 10, 31];
        // A quarter of the picture is empty unless there are four things.
        Assert.All(samples.Where(s => s.World.Count < 3),
            s => Assert.True(s.Picture.Rgb.Chunk(3).Count(p => p[0] == red[s.World.Place]) >= (3 - s.World.Count) * 32 * 32));
        Assert.Equal(samples[7].Picture.Rgb, new TrainingWorld(9).Classification("tower", 7, new NoiseRange(0, 0)).Picture.Rgb);
    }

    [Fact]
    public void Mixture_ReadsFromTheJsonOfARecipe()
    {
        var read = JsonSerializer.Deserialize<MixtureOptions>(
            """{"caption": 0, "image_only": 1, "text_only": 2, "agree": 3, "conflict": 4, "suffix": true, "forms": [1, 0, 0, 0], "vision": 0.9, "text_weight": 0, "sigma": {"low": 0.1, "high": 0.2}}""")!;
        Assert.Equal(
            JsonSerializer.Serialize(new MixtureOptions { Caption = 0, ImageOnly = 1, TextOnly = 2, Agree = 3, Conflict = 4, Suffix = true,
                Forms = [1, 0, 0, 0], Vision = 0.9, TextWeight = 0, Sigma = new NoiseRange(0.1, 0.2) }), JsonSerializer.Serialize(read));
        Assert.Equal(JsonSerializer.Serialize(MixtureOptions.PhaseA),
            JsonSerializer.Serialize(JsonSerializer.Deserialize<MixtureOptions>("{}")));
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<MixtureOptions>("""{"captions": 1}"""));
    }

    [Theory]
    [InlineData("""{"caption": -1}""", "caption")]
    [InlineData("""{"caption": 0, "image_only": 0, "text_only": 0, "agree": 0, "conflict": 0}""", "conflict")]
    [InlineData("""{"forms": [1, 0, 0]}""", "forms")]
    [InlineData("""{"forms": [0, 0, 0, 0]}""", "forms")]
    [InlineData("""{"vision": 1.5}""", "vision")]
    [InlineData("""{"text_weight": -0.1}""", "text_weight")]
    [InlineData("""{"sigma": {"low": 0.2, "high": 0.1}}""", "sigma")]
    [InlineData("""{"sigma": {"low": 0, "high": 2}}""", "sigma")]
    public void WrongMixtures_AreNamed(string json, string field)
    {
        var error = Assert.Throws<InputException>(() => World.Packed("test", 0, JsonSerializer.Deserialize<MixtureOptions>(json)!));
        Assert.StartsWith("mixture: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(field, error.Message, StringComparison.Ordinal);
    }

    private static readonly Dictionary<string, string[]> Questions = new(StringComparer.Ordinal)
    {
        ["shape"] = ["what thing is it ?", "which thing ?", "name the thing ."],
        ["colour"] = ["what colour is it ?", "which colour ?", "name the colour ."],
        ["count"] = ["how many are there ?", "what number ?", "count them ."],
        ["place"] = ["where is it ?", "what place ?", "name the place ."],
    };

    private static List<PackedSample> Of(bool suffix) => suffix ? PhaseB : PhaseA;

    private static List<PackedSample> Draw(MixtureOptions mixture, int count) =>
        [.. Enumerable.Range(0, count).Select(i => World.Packed("test", i, mixture))];

    private static string Text(PackedSample sample) => string.Join(' ', sample.Tokens.Select(t => t.Word));
}
