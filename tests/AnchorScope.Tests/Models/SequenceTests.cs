using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Tests.Models;

/// <summary>A sequence has the same bits alone, in any batch, and with its prompt split into pieces of any size.</summary>
public sealed class SequenceTests
{
    private const int Longest = 6;

    public static TheoryData<string, string> Families => Studies.SweepTests.Models;

    [Theory]
    [MemberData(nameof(Families))]
    public void AnyBatch_IsEachSequenceAlone(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var text = tiny.Model.Prompt([.. tiny.Prompt.Tokens.Where(t => t != tiny.Model.ImageToken).Take(9)], null, null);
        var options = Options(tiny);
        var alone = options.Select((option, i) => Alone(tiny, i % 2 == 0 ? tiny.Prompt : text, option)).ToList();
        Assert.NotEqual(alone[0].Tokens, alone[2].Tokens);
        // Some end early, so that batches shrink and their rows move.
        Assert.Contains(alone, sequence => sequence.Tokens.Count < Longest);
        foreach (var (rows, seed) in new[] { (1, 1UL), (2, 2UL), (7, 3UL), (40, 4UL), (int.MaxValue, 5UL) })
        {
            var random = new SplitMix(seed);
            var sequences = options.Select((option, i) => new Sequence(tiny.Session, i % 2 == 0 ? tiny.Prompt : text, option)).ToList();
            // They join the batch at different steps.
            var (going, waiting) = (new List<Sequence>(), new Queue<Sequence>(sequences.OrderBy(_ => random.Next())));
            while (waiting.Count > 0 || going.Exists(s => s.Finished is null))
            {
                if (waiting.Count > 0 && (going.Count == 0 || random.Below(3) == 0)) going.Add(waiting.Dequeue());
                var decoding = going.Count(s => s.Finished is null && s.IsDecoding);
                var passed = SequenceBatch.Step(tiny.Session, going, rows);
                Assert.InRange(passed, going.TrueForAll(s => s.Finished is not null) && waiting.Count > 0 ? 0 : 1,
                    Math.Max(rows, Math.Max(1, decoding)));
            }
            for (var i = 0; i < sequences.Count; i++)
            {
                Assert.Equal(alone[i].Tokens, sequences[i].Tokens);
                Assert.Equal(alone[i].Reason, sequences[i].Finished);
                Assert.Equal(alone[i].Logits, sequences[i].Logits);
                sequences[i].Dispose();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void ARecordedPast_IsThePromptFromTheStart(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        foreach (var option in Options(tiny))
        {
            var first = Math.Min(option.Intervention.FirstPosition, tiny.Prompt.Length - 1);
            if (first == 0) continue;
            using var past = tiny.Session.Record(tiny.Prompt.Prefix(first));
            using var sequence = new Sequence(tiny.Session, tiny.Prompt, option, past);
            Assert.Equal(tiny.Prompt.Length - first, sequence.Pending);
            while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence], rows: 3);
            Assert.Equal(Alone(tiny, tiny.Prompt, option).Logits, sequence.Logits);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void ARecordedRunOfTheSamePrompt_IsLeftAtTheCorner(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        using var past = tiny.Session.Record(tiny.Prompt);
        foreach (var option in Options(tiny))
        {
            using var sequence = new Sequence(tiny.Session, tiny.Prompt, option, past);
            Assert.Equal(tiny.Prompt.Length - Math.Min(option.Intervention.FirstPosition, tiny.Prompt.Length - 1), sequence.Pending);
            while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence], rows: 3);
            Assert.Equal(Alone(tiny, tiny.Prompt, option).Logits, sequence.Logits);
        }
    }

    [Fact]
    public void WhatCannotBe_IsRefused()
    {
        using var tiny = Tiny.Open();
        using var past = tiny.Session.Record(tiny.Prompt.Prefix(8));
        var plain = new SequenceOptions(2);
        var refused = Assert.Throws<ArgumentException>(() =>
            new Sequence(tiny.Session, tiny.Prompt, plain with { Intervention = Intervention.HeadGain(1, 1, 0, Positions.Of(7)) }, past));
        Assert.Contains("changes position 7, which is recorded: the past has 8 positions", refused.Message, StringComparison.Ordinal);
        var turned = tiny.Prompt with { Tokens = [.. tiny.Prompt.Tokens], Embeddings = [.. tiny.Prompt.Embeddings.Reverse()] };
        foreach (var (prompt, expected) in new[] { (turned, "fewer positions than"), (turned.Prefix(8), "first positions of the prompt") })
        {
            using var unlike = tiny.Session.Record(prompt);
            var wrong = Assert.Throws<ArgumentException>(() => new Sequence(tiny.Session, tiny.Prompt, plain, unlike));
            Assert.Contains(expected, wrong.Message, StringComparison.Ordinal);
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(0)));
        // Refused before anything runs: head 99 does not exist, and no position after the last generated one does.
        Assert.Throws<InputException>(
            () => new Sequence(tiny.Session, tiny.Prompt, plain with { Intervention = Intervention.HeadGain(1, 99, 0) }));
        Assert.Throws<InputException>(() => new Sequence(
            tiny.Session, tiny.Prompt, plain with { Intervention = Intervention.HeadGain(1, 1, 0, Positions.Of(tiny.Prompt.Length + 2)) }));
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, plain);
        Assert.Equal((tiny.Prompt.Length, false), (sequence.Pending, sequence.IsDecoding));
        while (SequenceBatch.Step(tiny.Session, [sequence]) > 0) Assert.True(sequence.IsDecoding);
        Assert.Equal((FinishReason.Length, 0, 2), (sequence.Finished!.Value, sequence.Pending, sequence.Tokens.Count));
        Assert.Throws<InvalidOperationException>(() => sequence.Next(1));
        sequence.Dispose();
        Assert.Throws<ObjectDisposedException>(() => sequence.Next(1));
    }

    private static List<SequenceOptions> Options(Tiny tiny)
    {
        var (length, plain) = (tiny.Prompt.Length, new SequenceOptions(Longest) { KeepLogits = true });
        var first = Alone(tiny, tiny.Prompt, plain).Tokens;
        return
        [
            plain,
            plain with { Sampling = new Sampling(Temperature: 1.5, Seed: 3) },
            plain with { Intervention = Intervention.HeadGain("deep", [(2, 1), (1, 0)], -3, Positions.All) },
            plain with
                { Sampling = new Sampling(Temperature: 2, TopK: 20, Seed: 9),
                    Stop = Enumerable.Range(0, tiny.Decoder.VocabularySize / 2).ToHashSet() },
            plain with { Stop = new HashSet<int> { first[2] } },
            plain with { Intervention = Intervention.HeadGain(1, 1, 4, Positions.Of(5, 8)) },
            plain with { Intervention = Intervention.HeadGain("generated", [(1, 0)], 0, Positions.Of(length, length + 1)) },
        ];
    }

    /// <summary>A full pass over the text so far for every token, without a cache.</summary>
    private static (IReadOnlyList<int> Tokens, IReadOnlyList<float[]> Logits, FinishReason? Reason) Alone(Tiny tiny,
        Prompt prompt, SequenceOptions options)
    {
        var (tokens, logits, sampler) = (new List<int>(), new List<float[]>(), new Sampler(options.Sampling));
        var width = tiny.Decoder.Shape.ModelSize;
        while (true)
        {
            var mark = tiny.Compute.Arena.Here();
            var rows = tiny.Compute.Arena.Take(prompt.Length + tokens.Count, width);
            for (var i = 0; i < prompt.Length; i++) prompt.Embeddings.AsSpan(i * width, width).CopyTo(rows[i]);
            if (tokens.Count > 0) tiny.Decoder.Embed([.. tokens], rows.RowRange(prompt.Length, tokens.Count));
            Coordinate[] coordinates = [.. prompt.Coordinates,
                .. Enumerable.Range(prompt.RotaryLength, tokens.Count).Select(Coordinate.At)];
            var edits = EditIndex.Of(options.Intervention, tiny.Decoder.Shape, prompt.Length, options.Tokens);
            var resid = tiny.Decoder.Forward(new Pass(tiny.Decoder.Shape, [new RowBlock(rows, coordinates, 0, edits)], tiny.Compute));
            logits.Add(tiny.Decoder.Unembed(resid.RowRange(rows.Rows - 1, 1), tiny.Compute).ToArray());
            tiny.Compute.Arena.Release(mark);
            tokens.Add(sampler.Choose(logits[^1]));
            if (options.Stop.Contains(tokens[^1])) return (tokens, logits, FinishReason.Stop);
            if (tokens.Count == options.Tokens) return (tokens, logits, FinishReason.Length);
        }
    }
}
