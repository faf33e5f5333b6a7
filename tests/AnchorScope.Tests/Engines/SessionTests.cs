using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Studies;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Engines;

/// <summary>What a session refuses, what it survives, and what it keeps alive.</summary>
public sealed class SessionTests
{
    [Fact]
    public void AnotherThread_IsRefusedDuringACall()
    {
        using var tiny = Tiny.Open();
        using var session = tiny.Model.OpenSession();
        using var recorded = session.Record(tiny.Prompt);
        var refused = 0;
        Sweep.LastLogits(session, [new SweepItem(recorded, Intervention.HeadGain(1, 0, 0))], (_, _) =>
        {
            var other = new Thread(() =>
            {
                Assert.Contains("one session per thread",
                    Assert.Throws<InvalidOperationException>(() => session.FinalNorm(new float[tiny.Decoder.Shape.ModelSize])).Message,
                    StringComparison.Ordinal);
                refused++;
            });
            other.Start();
            other.Join();
            // The same thread may call it again.
            Assert.Equal(tiny.Decoder.VocabularySize, session.Unembed(new float[tiny.Decoder.Shape.ModelSize]).Length);
        });
        Assert.Equal(1, refused);
        // After the call any thread may use it.
        var later = new Thread(() => session.Record(tiny.Prompt).Dispose());
        later.Start();
        later.Join();
    }

    /// <summary>Freed memory or an unmapped weight would end the process.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DisposedDuringACall_ItEndsWithTheSameBits(bool closeModel)
    {
        using var tiny = Tiny.Open();
        var model = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        var session = model.OpenSession(new SessionOptions { Threads = 2 });
        var prompt = model.Prompt([.. tiny.Prompt.Tokens.Where(t => t != model.ImageToken)], null, null);
        var recorded = session.Record(prompt);
        var expected = Sweep.FullPass(tiny.Session, prompt, Intervention.HeadGain(2, 0, 0));
        var read = 0;
        Sweep.LastLogits(session, [new SweepItem(recorded, Intervention.HeadGain(1, 0, 0))], (_, _) =>
        {
            var other = new Thread(() =>
            {
                if (closeModel) model.Dispose();
                else session.Dispose();
            });
            other.Start();
            other.Join();
            read++;
        });
        Assert.Equal(1, read);
        Assert.Throws<ObjectDisposedException>(() => session.Record(prompt));
        if (!closeModel)
        {
            using var next = model.OpenSession();
            Assert.Equal(expected, Sweep.FullPass(next, prompt, Intervention.HeadGain(2, 0, 0)));
        }
        recorded.Dispose();
        session.Dispose();
        model.Dispose();
    }

    /// <summary>In every part of a step, the product of the head included.</summary>
    [Fact]
    public void AStepThatIsCancelledAnywhere_LeavesItsSequencesAsTheyWere()
    {
        using var tiny = Tiny.Open();
        var options = new SequenceOptions(3) { KeepLogits = true };
        using var expected = new Sequence(tiny.Session, tiny.Prompt, options);
        while (expected.Finished is null) SequenceBatch.Step(tiny.Session, [expected]);
        var (cancelled, completed, random) = (0, 0, new SplitMix(5));
        // Another thread cancels after a random time: in any product, the head's included, or too late.
        for (var round = 0; round < 400 || (cancelled == 0 && round < 100_000); round++)
        {
            using var sequence = new Sequence(tiny.Session, tiny.Prompt, options);
            using var beside = new Sequence(tiny.Session, tiny.Prompt, options);
            if (random.Below(2) == 0) SequenceBatch.Step(tiny.Session, [sequence, beside]);
            using (var source = new CancellationTokenSource())
            {
                using var session = tiny.Model.OpenSession(new SessionOptions { Cancel = source.Token });
                var spins = random.Below(60) * 1000;
                var canceller = new Thread(() =>
                {
                    Thread.SpinWait(spins);
                    source.Cancel();
                });
                canceller.Start();
                try
                {
                    SequenceBatch.Step(session, [sequence, beside]);
                    completed++;
                }
                catch (OperationCanceledException)
                {
                    cancelled++;
                }
                canceller.Join();
            }
            while (SequenceBatch.Step(tiny.Session, [sequence, beside]) > 0)
            {
            }
            Assert.Equal(expected.Logits, sequence.Logits);
            Assert.Equal(expected.Logits, beside.Logits);
        }
        Assert.True(cancelled > 0 && completed > 0, $"{cancelled} cancelled, {completed} completed");
    }

    /// <summary>An error of one sequence's callback leaves the others as they were.</summary>
    [Fact]
    public void ACallbackThatFails_EndsItsOwnSequenceOnly()
    {
        using var tiny = Tiny.Open();
        var options = new SequenceOptions(3) { KeepLogits = true };
        using var expected = new Sequence(tiny.Session, tiny.Prompt, options);
        while (expected.Finished is null) SequenceBatch.Step(tiny.Session, [expected]);
        using var before = new Sequence(tiny.Session, tiny.Prompt, options);
        using var failing = new Sequence(tiny.Session, tiny.Prompt, options with { Chosen = (_, _) => throw new FormatException("mine") });
        using var after = new Sequence(tiny.Session, tiny.Prompt, options);
        Sequence[] all = [before, failing, after];
        Assert.Equal("mine", Assert.Throws<FormatException>(() => SequenceBatch.Step(tiny.Session, all)).Message);
        Assert.Equal(FinishReason.Failed, failing.Finished);
        while (SequenceBatch.Step(tiny.Session, all) > 0)
        {
        }
        Assert.Equal(expected.Logits, before.Logits);
        Assert.Equal(expected.Logits, after.Logits);
    }

    /// <summary>A recorded run may be shared between threads, and disposed of by one of them.</summary>
    [Fact]
    public void ARecordedRunDisposedDuringACall_IsReadToTheEnd()
    {
        using var tiny = Tiny.Open();
        var recorded = tiny.Session.Record(tiny.Prompt);
        var gain = Intervention.HeadGain(1, 0, 0);
        var expected = Sweep.Run(tiny.Session, recorded, [gain, gain]);
        var read = new List<float[]>();
        foreach (var pass in Sweep.Plan(tiny.Model.Engine, [new SweepItem(recorded, gain)], [Readout.Output, new Readout(1, 4)]))
        {
            pass.Run(tiny.Session, (_, _, logits) =>
            {
                recorded.Dispose();
                read.Add(logits.ToArray());
            });
        }
        Assert.Equal(2, read.Count);
        Assert.Equal(expected[0], read[0]);
        Assert.Throws<ObjectDisposedException>(() => Sweep.Run(tiny.Session, recorded, [gain]));
    }

    [Fact]
    public void PlansThatContradictThemselves_AreRefused()
    {
        using var tiny = Tiny.Open();
        using var recorded = tiny.Session.Record(tiny.Prompt);
        var (a, b) = (Intervention.HeadGain(0, 0, 0), Intervention.HeadGain(0, 1, 0));
        RunPlan Plan(Intervention intervention, int layer, int? trunk) => new(recorded, intervention)
            { Position = 0, EndPosition = tiny.Prompt.Length, Layer = layer, Trunk = trunk };
        var refused = Assert.Throws<ArgumentException>(
            () => tiny.Session.Run([Plan(a, 0, null), Plan(b, 2, 0)], [Readout.Output], (_, _, _) => { }));
        Assert.Contains("the same edits below layer 2", refused.Message, StringComparison.Ordinal);
        tiny.Session.Run([Plan(a, 0, null), Plan(a, 2, 0)], [Readout.Output], (_, _, _) => { });
        using var state = tiny.Session.Begin(tiny.Prompt, Intervention.None, 4);
        foreach (var (count, token) in new (int, int?)[] { (0, null), (tiny.Prompt.Length + 1, null), (1, 3) })
            Assert.Throws<ArgumentException>(() => tiny.Session.Step([new SequenceRows(state, count, token)], (_, _, _) => { }));
        tiny.Session.Step([new SequenceRows(state, tiny.Prompt.Length)], (_, _, _) => { });
        Assert.Contains("2 generated tokens",
            Assert.Throws<ArgumentException>(() => tiny.Session.Step([new SequenceRows(state, 2, 3)], (_, _, _) => { })).Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => tiny.Session.Forward(tiny.Prompt, Intervention.None,
            new Trace([Site.ResidPost], [tiny.Prompt.Length])));
        Assert.Throws<InputException>(() => tiny.Session.Differentiate(
            [new GradientPlan(tiny.Prompt, Intervention.None, Trace.ForGradients([Site.HeadOut]))], LossGradient.Margin(0, 1 << 20)));
        Assert.Throws<ArgumentException>(
            () => new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(1) { Sites = [Site.AttnScores], Positions = [0] }));
    }

    /// <summary>The caller may reuse its arrays.</summary>
    [Fact]
    public void AnEdit_StaysWhatItIs()
    {
        var vector = new float[] { 1, 2 };
        var (edit, rows) = (Intervention.Steer(1, vector).Edits[0], new DonorRows(vector, 1));
        vector[0] = 9;
        Assert.Equal([1, 2], edit.Vector!);
        Assert.Equal([1, 2], rows[0].ToArray());
    }

    [Fact]
    public void AModelDisposedOf_MakesNoPrompts()
    {
        var model = VisionLanguageModel.Open(Fixtures.Path("llava15"));
        model.Dispose();
        foreach (var refused in new[] { Assert.Throws<ObjectDisposedException>(() => model.Prompt([1, 2], null, null)) })
            Assert.EndsWith(nameof(VisionLanguageModel), refused.ObjectName, StringComparison.Ordinal);
    }

    [Fact]
    public void APassThatIsCancelled_LeavesItsSequencesAsTheyWere()
    {
        using var tiny = Tiny.Open();
        using var source = new CancellationTokenSource();
        using var session = tiny.Model.OpenSession(new SessionOptions { Cancel = source.Token });
        var options = new SequenceOptions(3) { KeepLogits = true };
        using var expected = new Sequence(tiny.Session, tiny.Prompt, options);
        while (expected.Finished is null) SequenceBatch.Step(tiny.Session, [expected]);
        using var sequence = new Sequence(session, tiny.Prompt, options);
        SequenceBatch.Step(session, [sequence], rows: 5);
        source.Cancel();
        Assert.Throws<OperationCanceledException>(() => SequenceBatch.Step(session, [sequence]));
        Assert.Equal(tiny.Prompt.Length - 5, sequence.Pending);
        // Any session of the model can go on with it.
        while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence], rows: 4);
        Assert.Equal(expected.Logits, sequence.Logits);
    }

    [Fact]
    public void ASequence_IsInABatchOnce_AndOfThisModel()
    {
        using var tiny = Tiny.Open();
        using var other = Tiny.Open();
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(1));
        Assert.Contains("appears twice",
            Assert.Throws<ArgumentException>(() => SequenceBatch.Step(tiny.Session, [sequence, sequence])).Message,
            StringComparison.Ordinal);
        Assert.Contains("another model or engine",
            Assert.Throws<ArgumentException>(() => SequenceBatch.Step(other.Session, [sequence])).Message, StringComparison.Ordinal);
        Assert.Contains("embeddings of",
            Assert.Throws<ArgumentException>(() => tiny.Session.Record(tiny.Prompt with { Embeddings = new float[8] })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void APromptLongerThanTheModelAllows_IsRefused()
    {
        using var tiny = Tiny.Open();
        var most = tiny.Model.Engine.MaximumPositions!.Value;
        var word = tiny.Prompt.Tokens.First(t => t != tiny.Model.ImageToken);
        var (fits, exceeds) = (tiny.Model.Prompt([.. Enumerable.Repeat(word, most)], null, null),
            tiny.Model.Prompt([.. Enumerable.Repeat(word, most + 1)], null, null));
        tiny.Session.Record(fits).Dispose();
        var refused = Assert.Throws<InputException>(() => tiny.Session.Record(exceeds));
        Assert.Contains($"has {most + 1} positions", refused.Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => tiny.Session.Forward(exceeds, Intervention.None));
        new Sequence(tiny.Session, fits, new SequenceOptions(1)).Dispose();
        Assert.Throws<InputException>(() => new Sequence(tiny.Session, fits, new SequenceOptions(2)));
    }

    [Fact]
    public void AnInterventionOfNothing_IsRefused()
    {
        Assert.Contains("at least one head, found none", Assert.Throws<InputException>(() => Intervention.HeadGain("x", [], 0)).Message,
            StringComparison.Ordinal);
        Assert.Contains("at least one layer, found none",
            Assert.Throws<InputException>(() => Intervention.Knockout("x", [], Positions.All, Positions.Of(1))).Message,
            StringComparison.Ordinal);
        Assert.Throws<InputException>(() => Intervention.AttentionBoost("x", [], Positions.All, Positions.Of(1), 1));
        using var tiny = Tiny.Open();
        Assert.Contains("times 1 changes nothing",
            Assert.Throws<InputException>(() => tiny.Session.Forward(tiny.Prompt, Intervention.HeadGain(1, 0, 1))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void LogitsThatAreNotFinite_AreAnError()
    {
        using var tiny = Tiny.Open();
        using var recorded = tiny.Session.Record(tiny.Prompt);
        var huge = Intervention.HeadGain("huge", [(1, 0), (1, 1), (2, 0)], float.MaxValue);
        Assert.Contains("huge: a logit is not finite",
            Assert.Throws<InputException>(() => Sweep.Run(tiny.Session, recorded, [huge])).Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => LogitLens.Top([1, float.NaN, 2]));
    }

    [Fact]
    public void TheLikeliestTokens_AreThoseOfASort()
    {
        var random = new SplitMix(7);
        for (var round = 0; round < 50; round++)
        {
            float[] logits = [.. Enumerable.Range(0, 30).Select(_ => (float)random.Below(12))];
            var sorted = Enumerable.Range(0, 30).OrderByDescending(i => logits[i]).ThenBy(i => i).ToArray();
            var count = 1 + random.Below(40);
            Assert.Equal(sorted.Take(count), LogitLens.Top(logits, count).Select(t => t.Token));
        }
    }

    /// <summary>A donor traced at all positions gives the edits of one traced at the aligned positions.</summary>
    [Theory]
    [InlineData(HeadContent.Z)]
    [InlineData(HeadContent.Pattern)]
    public void ADonorOfAllPositions_IsOneOfSome(HeadContent what)
    {
        using var tiny = Tiny.Open();
        var at = new AlignedPositions([3, 5], [4, 6]);
        var (all, some) = (new Trace(HeadInterchange.SitesOf(what)), new Trace(HeadInterchange.SitesOf(what), [4, 6, 7]));
        tiny.Session.Forward(tiny.Prompt, Intervention.None, all);
        tiny.Session.Forward(tiny.Prompt, Intervention.None, some);
        Intervention Of(Trace donor) => HeadInterchange.Of("x", tiny.Decoder.Shape, what, [(1, 0), (1, 1)], at, donor);
        Assert.Equal(Of(some), Of(all));
    }

    [Fact]
    public void OptionsOfADiagnosis_AreChecked()
    {
        var options = new DiagnosisOptions { Model = Fixtures.Organism, Data = Fixtures.Conflicts };
        foreach (var (wrong, expected) in new[]
        {
            (options with { Limit = -1 }, "DiagnosisOptions.Limit: expected at least 1, found -1"),
            (options with { Threads = 0 }, "DiagnosisOptions.Threads: expected at least 1, found 0"),
            (options with { Draws = -1 }, "DiagnosisOptions.Draws: expected at least 0, found -1"),
            (options with { AnswerTokens = 0 }, "DiagnosisOptions.AnswerTokens: expected at least 1, found 0"),
            (options with { Windows = [3, 0] }, "DiagnosisOptions.Windows: expected at least 1, found 0"),
            (options with { Shares = [2] }, "DiagnosisOptions.Shares: expected numbers above 0 and up to 0.5, found 2"),
            (options with { Gains = [double.NaN] }, "DiagnosisOptions.Gains: expected numbers above 0 and up to 1000000, found NaN"),
            (options with { Gains = [] }, "DiagnosisOptions.Gains: expected at least one factor, found none"),
            (options with { Threads = 5000 }, "DiagnosisOptions.Threads: expected at most 1024, found 5000"),
            (options with { Gains = [1] }, "DiagnosisOptions.Gains: expected factors other than 1"),
            (options with { EquivalenceMargin = 0 },
                "DiagnosisOptions.EquivalenceMargin: expected a number above 0 and below 0.5, found 0"),
            (options with { Variants = new Definitions { Screen = HeadScreen.Gradient, Ablation = AblationVariant.Mean } },
                "DiagnosisOptions.Screen: gradient: expected DiagnosisOptions.Ablation zero"),
        })
        {
            Assert.StartsWith(expected, Assert.Throws<InputException>(wrong.Validate).Message, StringComparison.Ordinal);
            Assert.Throws<InputException>(() => new DiagnosisStudy(wrong));
        }
        options.Validate();
    }
}
