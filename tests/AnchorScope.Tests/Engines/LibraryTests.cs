using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Reports;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Engines;

/// <summary>What docs/library.md promises to programs that use the package.</summary>
public sealed class LibraryTests : IDisposable
{
    private readonly TempFolder _temp = new();

    [Fact]
    public void APartWithAKind_HasItsPositions()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Organism);
        using var session = model.OpenSession();
        var picture = Picture.Load(Path.Combine(Fixtures.Conflicts, "images", "test-0001.png"));
        var prompt = model.Prompt(
            [
                new ChatMessage("user", [new ImagePart(), new TextPart("what colour is it ? ") { Kind = SpanKind.Question },
                    new TextPart("trust the picture") { Kind = SpanKind.Instruction }]),
            ],
            [picture], session);
        var words = prompt.Positions(SpanKind.Instruction).List.Select(p => model.Tokenizer.TokenText(prompt.Tokens[p])).ToList();
        Assert.Equal(["trust", "the", "picture"], words.Select(w => w.Trim('▁', 'Ġ', ' ')));
        Assert.Equal(model.ImageToken, prompt.Positions(SpanKind.Image).List.Select(p => prompt.Tokens[p]).Distinct().Single());
        Assert.Equal([prompt.Last], prompt.Positions(SpanKind.Last).List);
        var missing = Assert.Throws<InputException>(() => prompt.Positions(SpanKind.TextContext));
        Assert.Equal(("prompt", "spans"), (missing.File, missing.Field));
        Assert.Contains("text_context", missing.Expected, StringComparison.Ordinal);
        Assert.Contains("instruction", missing.Found, StringComparison.Ordinal);
    }

    [Fact]
    public void AMessage_HasItsPartsAsFields()
    {
        File.WriteAllText(_temp.File("edits.json"), """{"kind": "head_gain", "layer": 1, "heads": [0], "factr": 2}""");
        using var tiny = Tiny.Open();
        var wrong = Assert.Throws<InputException>(
            () => InterventionJson.Load(_temp.File("edits.json"), tiny.Decoder.Shape, tiny.Model.Checkpoint.Identity));
        Assert.Equal(_temp.File("edits.json"), wrong.File ?? wrong.Message[.._temp.File("edits.json").Length]);
        var inner = InputException.At("config.json", "hidden_size", "128", "64");
        var outer = new InputException($"while opening: {inner.Message}", inner);
        Assert.Equal(("config.json", "hidden_size", "128", "64"), (outer.File, outer.Field, outer.Expected, outer.Found));
        Assert.Equal("config.json: hidden_size: expected 128, found 64", inner.Message);
        Assert.Null(new InputException("free text").Field);
    }

    [Fact]
    public void WhatIsDisposedOf_SaysSo()
    {
        using var tiny = Tiny.Open();
        var session = tiny.Model.OpenSession();
        var recorded = session.Record(tiny.Prompt);
        recorded.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Sweep.Run(session, recorded, [Intervention.HeadGain(1, 0, 0)]));
        Assert.Throws<ObjectDisposedException>(() => new Sequence(session, tiny.Prompt, new SequenceOptions(1), recorded));
        session.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.Record(tiny.Prompt));
        Assert.Throws<ObjectDisposedException>(() => session.Unembed(new float[tiny.Decoder.Shape.ModelSize]));
        var model = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        using var left = model.OpenSession();
        model.Dispose();
        // The weights are mapped memory: to read on would end the process.
        Assert.Throws<ObjectDisposedException>(() => left.Record(tiny.Prompt));
        Assert.Throws<ObjectDisposedException>(() => model.OpenSession());
    }

    /// <summary>Whatever the caller does with the run meanwhile: a sequence must not read memory that is freed.</summary>
    [Fact]
    public void ARunThatASequenceStartsFrom_MayNotBeGone()
    {
        using var tiny = Tiny.Open();
        var recorded = tiny.Session.Record(tiny.Prompt);
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(3), recorded);
        recorded.Dispose();
        Assert.Throws<ObjectDisposedException>(() => SequenceBatch.Step(tiny.Session, [sequence]));
    }

    [Fact]
    public void WhatIsOfAnotherModel_IsRefused()
    {
        using var tiny = Tiny.Open();
        using var other = Tiny.Open();
        using var recorded = other.Session.Record(other.Prompt);
        Assert.Throws<ArgumentException>(() => Sweep.Run(tiny.Session, recorded, [Intervention.HeadGain(1, 0, 0)]));
        Assert.Throws<ArgumentException>(() => new Sequence(tiny.Session, other.Prompt, new SequenceOptions(1), recorded));
        Assert.Throws<ArgumentException>(() => Attribution.Of(
            tiny.Session, recorded, new AttributionOptions { TokenA = 5, TokenB = 9, Positions = [3] }));
        Assert.Throws<InputException>(
            () => tiny.Session.Unembed(new float[tiny.Decoder.Shape.ModelSize], tokens: [tiny.Decoder.VocabularySize]));
    }

    [Fact]
    public void APlanThatContradictsItself_IsRefused()
    {
        using var tiny = Tiny.Open();
        using var recorded = tiny.Session.Record(tiny.Prompt);
        var last = tiny.Prompt.Last;
        var plan = new RunPlan(recorded, Intervention.HeadGain(1, 0, 0, Positions.Of(last)))
            { Position = last, EndPosition = last + 1, Layer = 1 };
        var seen = 0;
        tiny.Session.Run([plan], [Readout.Output], (_, _, logits) => seen += logits.Length);
        Assert.Equal(tiny.Decoder.VocabularySize, seen);
        RunPlan[] wrong =
        [
            plan with { Layer = 2 }, plan with { Position = last + 1 }, plan with { EndPosition = last }, plan with { Trunk = 0 },
            plan with { Trunk = -1 },
            plan with { Layer = -1 }, plan with { Layer = 99 },
            plan with { Intervention = Intervention.HeadGain(1, 0, 0, Positions.Of(last - 1)) },
        ];
        Assert.All(wrong, w => Assert.Throws<ArgumentException>(() => tiny.Session.Run([w], [Readout.Output], (_, _, _) => { })));
        Assert.Throws<ArgumentException>(() => tiny.Session.Run([plan], [], (_, _, _) => { }));
    }

    /// <summary>In a batch, and the memory of calls that failed is given back.</summary>
    [Fact]
    public void ASequenceThatFails_LeavesTheOthersAlone()
    {
        using var tiny = Tiny.Open();
        var alone = Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(3)).Tokens;
        var broken = Intervention.HeadGain("beyond float32", Enumerable.Range(0, 3).Select(l => (l, 0)), 3e38f);
        Sequence[] batch =
        [
            new(tiny.Session, tiny.Prompt, new SequenceOptions(3) { Intervention = broken }),
            new(tiny.Session, tiny.Prompt, new SequenceOptions(3)),
        ];
        while (SequenceBatch.Step(tiny.Session, batch) > 0)
        {
        }
        Assert.Equal(alone, batch[1].Tokens);
        Assert.Equal((FinishReason.Failed, FinishReason.Length), (batch[0].Finished!.Value, batch[1].Finished!.Value));
        Assert.NotNull(batch[0].Error);
        foreach (var sequence in batch) sequence.Dispose();
        Assert.Throws<InputException>(() => Generation.Run(tiny.Session, tiny.Prompt, new SequenceOptions(1) { Intervention = broken }));
        var before = tiny.Compute.Arena.Bytes;
        for (var i = 0; i < 200; i++)
            Assert.Throws<InputException>(
                () => tiny.Session.Forward(tiny.Prompt with { Embeddings = [.. tiny.Prompt.Embeddings] }, Intervention.HeadGain(99, 0, 0)));
        Assert.Equal(before, tiny.Compute.Arena.Bytes);
    }

    [Fact]
    public void ASweep_AnswersInOrder_AndMayBeCancelled()
    {
        using var tiny = Tiny.Open();
        using var recorded = tiny.Session.Record(tiny.Prompt);
        Intervention[] asked = [Intervention.HeadGain(2, 1, 0), Intervention.None, Intervention.HeadGain(0, 0, 3),
            Intervention.HeadGain(1, 2, 2)];
        var logits = Sweep.Run(tiny.Session, recorded, asked, rowsPerPass: 1);
        Assert.Equal(asked.Select(tiny.LastAlone), logits);
        using var cancel = new CancellationTokenSource();
        cancel.Cancel();
        Assert.Throws<OperationCanceledException>(() => Sweep.Run(tiny.Session, recorded, asked, cancel: cancel.Token));
        using var cancelled = tiny.Model.OpenSession(new SessionOptions { Cancel = cancel.Token });
        Assert.Throws<OperationCanceledException>(() => cancelled.Record(tiny.Prompt));
    }

    [Fact]
    public void Interventions_ReadAsWhatTheyDo_AndAreEqualByContent()
    {
        var gain = Intervention.HeadGain("two heads", [(1, 0), (1, 2)], 0, Positions.Of(4, 5, 6));
        Assert.Equal("two heads: layer 1, z of heads 0, 2 at positions 4-6: x0", gain.ToString());
        Assert.Equal("cut: layer 3, attn_scores at positions 9, keys 1-2: cut",
            Intervention.Knockout("cut", [3], Positions.Of(9), Positions.Of(1, 2)).ToString());
        Assert.Equal("baseline", Intervention.None.ToString());
        Assert.Equal(gain, Intervention.HeadGain("two heads", [(1, 0), (1, 2)], 0, Positions.Of(4, 5, 6)));
        Assert.Equal(gain.GetHashCode(), Intervention.HeadGain("two heads", [(1, 0), (1, 2)], 0, Positions.Of(4, 5, 6)).GetHashCode());
        Assert.NotEqual(gain, Intervention.HeadGain("two heads", [(1, 0), (1, 2)], 0, Positions.Of(4, 5)));
    }

    [Fact]
    public void TheLens_GivesTheLikeliest()
    {
        using var tiny = Tiny.Open();
        var trace = new Trace([Site.ResidPost], [3, tiny.Prompt.Last]);
        var resid = tiny.Session.Forward(tiny.Prompt, Intervention.None, trace);
        var last = tiny.Decoder.Shape.Layers - 1;
        Assert.Equal(resid[^tiny.Decoder.Shape.ModelSize..], trace.Row(Site.ResidPost, last, tiny.Prompt.Last).ToArray());
        var logits = tiny.LastAlone(Intervention.None);
        var top = LogitLens.Top(tiny.Session, trace, last, tiny.Prompt.Last, count: logits.Length);
        Assert.Equal(Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i), top.Select(t => t.Token));
        Assert.Equal(1, top.Sum(t => t.Probability), 1e-9);
        Assert.Throws<ArgumentOutOfRangeException>(() => trace.Row(Site.ResidPost, last, 4));
        Assert.Throws<InvalidOperationException>(() => trace.Row(Site.MlpOut, last, 3));
    }

    /// <summary>Without the command line: the same files, and a second call goes on with what is there.</summary>
    [Fact]
    public void TheMainJob_IsOneCall()
    {
        var options = new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 2, Draws = 1 };
        var folder = _temp.File("diagnosis");
        var found = DiagnosisJob.Run(options, folder);
        Assert.Equal(4, found.Count);
        Assert.All(found, f => Assert.Equal("unclear", f.Status));
        var report = File.ReadAllText(Path.Combine(folder, "report.html"));
        var steps = new List<string>();
        Assert.Equal(found, DiagnosisJob.Run(options, folder, (phase, _, _) => steps.Add(phase)));
        Assert.Equal(report, File.ReadAllText(Path.Combine(folder, "report.html")));
        Assert.NotEmpty(steps);
        Assert.Contains("--limit", Assert.Throws<InputException>(() => DiagnosisJob.Run(options with { Limit = 3 }, folder)).Message,
            StringComparison.Ordinal);
    }

    public void Dispose() => _temp.Dispose();
}
