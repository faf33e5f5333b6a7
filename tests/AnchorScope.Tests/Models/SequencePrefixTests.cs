using AnchorScope.Engines;
using AnchorScope.Interventions;

namespace AnchorScope.Tests.Models;

/// <summary>A sequence that shares the keys and values of its first positions has the bits of one that computes them.</summary>
public sealed class SequencePrefixTests
{
    private const int Longest = 4;

    public static TheoryData<string, string> Families => Studies.SweepTests.Models;

    [Theory]
    [MemberData(nameof(Families))]
    public void Shared_IsComputed(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var options = Options(tiny);
        var expected = options.Select(option => Finished(tiny, new Sequence(tiny.Session, tiny.Prompt, option))).ToList();
        var (reused, most) = (0, 0);
        foreach (var donor in options)
        {
            using var from = new Sequence(tiny.Session, tiny.Prompt, donor);
            while (from.Finished is null) SequenceBatch.Step(tiny.Session, [from], rows: 4);
            foreach (var kept in new[] { 3, tiny.Prompt.Length - 2, from.Computed })
            {
                var prefix = from.Keep(tiny.Session, kept);
                Assert.Equal(kept, prefix.Count);
                for (var i = 0; i < options.Count; i++)
                {
                    var count = prefix.SharedCount(tiny.Prompt, options[i].Intervention);
                    Assert.InRange(count, 0, Math.Min(kept, tiny.Prompt.Length - 1));
                    most = Math.Max(most, count);
                    if (ReferenceEquals(donor, options[i])) Assert.Equal(Math.Min(kept, tiny.Prompt.Length - 1), count);
                    Assert.Throws<ArgumentException>(() => new Sequence(tiny.Session, tiny.Prompt, options[i], prefix, count + 1));
                    // Fewer than all of the shared positions may be used, too.
                    foreach (var used in new[] { count, count / 2 }.Where(c => c > 0).Distinct())
                    {
                        using var sequence = new Sequence(tiny.Session, tiny.Prompt, options[i], prefix, used);
                        Assert.Equal(tiny.Prompt.Length - used, sequence.Pending);
                        while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence], rows: 3);
                        Assert.Equal(expected[i], sequence.Logits);
                        reused++;
                    }
                }
                prefix.Dispose();
            }
        }
        Assert.Equal(tiny.Prompt.Length - 1, most);
        Assert.True(reused > options.Count);
    }

    /// <summary>The next turn of a conversation starts with the prompt and the answer of the last one.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void AnAnswer_IsSharedWithTheNextTurn(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var option = new SequenceOptions(6) { KeepLogits = true, Intervention = Intervention.HeadGain(1, 1, 3) };
        using var first = new Sequence(tiny.Session, tiny.Prompt, option);
        while (first.Finished is null) SequenceBatch.Step(tiny.Session, [first]);
        if (first.Tokens.Contains(tiny.Model.ImageToken ?? -1)) return;
        var word = tiny.Prompt.Tokens.First(t => t != tiny.Model.ImageToken);
        var next = tiny.Model.Prompt([.. tiny.Prompt.Tokens, .. first.Tokens, word, word], tiny.Pixels,
            tiny.Pixels is null ? null : tiny.Session.Features(tiny.Pixels));
        using var prefix = first.Keep(tiny.Session, first.Computed);
        var count = prefix.SharedCount(next, option.Intervention);
        // The last generated token was never fed back.
        Assert.Equal(tiny.Prompt.Length + 5, count);
        using var sequence = new Sequence(tiny.Session, next, option, prefix, count);
        Assert.Equal(Finished(tiny, new Sequence(tiny.Session, next, option)), Finished(tiny, sequence));
    }

    [Fact]
    public void AnotherPicture_SharesOnlyWhatIsBeforeIt()
    {
        using var tiny = Tiny.Open();
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(1));
        SequenceBatch.Step(tiny.Session, [sequence]);
        using var prefix = sequence.Keep(tiny.Session, tiny.Prompt.Length);
        var first = Array.IndexOf(tiny.Prompt.Tokens, tiny.Model.ImageToken!.Value);
        Assert.True(first > 0);
        float[] embeddings = [.. tiny.Prompt.Embeddings];
        embeddings[(first + 1) * tiny.Decoder.Shape.ModelSize] += 1;
        Assert.Equal(first + 1, prefix.SharedCount(tiny.Prompt with { Embeddings = embeddings }, Intervention.None));
        int[] tokens = [.. tiny.Prompt.Tokens];
        tokens[2]++;
        Assert.Equal(2, prefix.SharedCount(tiny.Prompt with { Tokens = tokens }, Intervention.None));
        var steered = tiny.Prompt with { Steering = Intervention.HeadGain("steering", [(0, 0)], 2, Positions.Of(5, 9)) };
        Assert.Equal(5, prefix.SharedCount(steered, Intervention.None));
    }

    [Fact]
    public void APrefixThatIsDisposedOf_LivesAsLongAsItsSequences()
    {
        using var tiny = Tiny.Open();
        var option = new SequenceOptions(Longest) { KeepLogits = true };
        using var from = new Sequence(tiny.Session, tiny.Prompt, option);
        SequenceBatch.Step(tiny.Session, [from]);
        var prefix = from.Keep(tiny.Session, 9);
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, option, prefix, 9);
        prefix.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new Sequence(tiny.Session, tiny.Prompt, option, prefix, 9));
        Assert.Equal(Finished(tiny, new Sequence(tiny.Session, tiny.Prompt, option)), Finished(tiny, sequence));
        using var other = Tiny.Open();
        using var foreign = from.Keep(tiny.Session, 9);
        Assert.Throws<ArgumentException>(() => new Sequence(other.Session, other.Prompt, option, foreign, 9));
        Assert.Throws<ArgumentOutOfRangeException>(() => from.Keep(tiny.Session, from.Computed + 1));
    }

    /// <summary>Recording changes no bit of any sequence of the pass, and gives what a whole forward pass records.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void RecordedRows_AreThoseOfAWholePass(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (sites, positions) = (new[] { Site.ResidPost, Site.HeadOut }, new[] { 4, 5, tiny.Prompt.Last });
        foreach (var option in Options(tiny))
        {
            var trace = new Trace(sites, positions);
            tiny.Session.Forward(tiny.Prompt, option.Intervention, trace, Longest - 1);
            foreach (var rows in new[] { 1, 3, int.MaxValue })
            {
                using var sequence = new Sequence(tiny.Session, tiny.Prompt, option with { Sites = sites, Positions = positions });
                using var beside = new Sequence(tiny.Session, tiny.Prompt, option);
                while (sequence.Finished is null || beside.Finished is null) SequenceBatch.Step(tiny.Session, [sequence, beside], rows);
                foreach (var site in sites)
                {
                    for (var layer = 0; layer < tiny.Decoder.Shape.Layers; layer++)
                    {
                        foreach (var position in positions)
                            Assert.Equal(trace.Row(site, layer, position).ToArray(), sequence.Row(site, layer, position).ToArray());
                    }
                }
                Assert.Equal(beside.Logits, sequence.Logits);
                Assert.Equal(Finished(tiny, new Sequence(tiny.Session, tiny.Prompt, option)), sequence.Logits);
                Assert.Throws<ArgumentException>(() => sequence.Row(Site.MlpOut, 0, 4));
            }
        }
        Assert.Throws<ArgumentException>(
            () => new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(1) { Sites = sites, Positions = [tiny.Prompt.Length] }));
        Assert.Throws<ArgumentException>(() => new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(1) { Sites = sites }));
    }

    private static List<float[]> Finished(Tiny tiny, Sequence sequence)
    {
        using (sequence)
        {
            while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence]);
            return [.. sequence.Logits];
        }
    }

    private static List<SequenceOptions> Options(Tiny tiny)
    {
        var (length, plain) = (tiny.Prompt.Length, new SequenceOptions(Longest) { KeepLogits = true });
        return
        [
            plain,
            plain with { Intervention = Intervention.HeadGain("all", [(2, 1), (1, 0)], -3) },
            plain with { Intervention = Intervention.HeadGain("early", [(1, 1)], 4, Positions.Of(2, length - 3)) },
            plain with { Intervention = Intervention.HeadGain("late", [(1, 1)], 4, Positions.Of(length - 3, length - 1)) },
            plain with { Intervention = Intervention.HeadGain("early, late", [(1, 1)], 4, Positions.Of(2, length - 1)) },
            plain with { Intervention = Steer(tiny, "early", 3) },
            plain with { Intervention = Steer(tiny, "late", length - 2) },
            plain with { Intervention = Intervention.AttentionBoost("boost", [1], Positions.All, Positions.Of(2), 1.5f) },
            plain with { Intervention = Donor(tiny, "rows", Positions.Of(2, 5, length - 2), null) },
            plain with { Intervention = Donor(tiny, "rows", Positions.Of(2, 5, length - 1), null) },
            plain with { Intervention = Donor(tiny, "edge", Positions.Range(length - 3, length), Positions.Of(2, 4)) },
            plain with { Intervention = Intervention.Knockout("cut", [1, 2], Positions.Range(length - 4, length), Positions.Of(1, 2)) },
        ];
    }

    private static Intervention Steer(Tiny tiny, string name, int position)
    {
        float[] vector = [.. Enumerable.Range(0, tiny.Decoder.Shape.ModelSize).Select(i => 0.02f * (i % 7) - 0.05f)];
        return Intervention.Steer(1, vector, 3, Positions.Of(position, tiny.Prompt.Length - 1)) with { Name = name };
    }

    /// <summary>Values of a donor at queries, or along an edge at keys.</summary>
    private static Intervention Donor(Tiny tiny, string name, Positions positions, Positions? keys)
    {
        var (site, count) = (keys is null ? Site.QueryProj : Site.Key, (keys ?? positions).List.Count);
        var width = tiny.Decoder.Shape.Width(site);
        var rows = new DonorRows([.. Enumerable.Range(0, count * width).Select(i => 0.1f * (i % 11) - 0.4f)], count);
        return new Intervention(
            name, new Edit(site, 1, Operation.Set) { Positions = positions, Keys = keys ?? Positions.All, Rows = rows });
    }
}
