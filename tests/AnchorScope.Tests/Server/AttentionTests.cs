using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Scheduling;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Server;

/// <summary>The attention of the instruction's tokens, read in a request's own pass.</summary>
public sealed class AttentionTests
{
    /// <summary>
    /// The probabilities that a sequence records are those of a full pass, in pieces of any size, after a shared prefix, under an
    /// intervention, for every family.
    /// </summary>
    [Theory]
    [MemberData(nameof(SchedulerTests.Families), MemberType = typeof(SchedulerTests))]
    public void ASequence_RecordsTheAttentionOfAFullPass(string name, string @case)
    {
        using var tiny = Tiny.Open(name, @case);
        var (prompt, shape) = (tiny.Prompt, tiny.Model.Engine.Shape);
        int[] positions = [prompt.Length / 2, prompt.Length - 3, prompt.Length - 1];
        var cut = Intervention.Knockout("cut", [1], Positions.Of(prompt.Length - 1), Positions.Of(1, 2));
        foreach (var intervention in new[] { Intervention.None, cut })
        {
            var trace = new Trace([Site.AttnPattern]);
            tiny.Session.Forward(prompt, intervention, trace);
            foreach (var (rows, shared) in new[] { (int.MaxValue, 0), (3, 0), (5, prompt.Length / 2 - 1) })
            {
                var options = new SequenceOptions(1)
                    { Intervention = intervention, Sites = [Site.AttnPattern, Site.ResidPost], Positions = positions };
                using var other = new Sequence(tiny.Session, prompt, new SequenceOptions(1));
                while (other.Finished is null) SequenceBatch.Step(tiny.Session, [other]);
                using var prefix = shared > 0 ? other.Keep(tiny.Session, shared) : null;
                using var sequence = prefix is null ? new Sequence(tiny.Session, prompt, options)
                    : new Sequence(tiny.Session, prompt, options, prefix, shared);
                while (sequence.Finished is null) SequenceBatch.Step(tiny.Session, [sequence], rows);
                for (var layer = 0; layer < shape.Layers; layer++)
                {
                    for (var head = 0; head < shape.Heads; head++)
                    {
                        foreach (var position in positions)
                        {
                            var full = trace[Site.AttnPattern, layer].AsSpan((head * prompt.Length + position) * prompt.Length,
                                position + 1);
                            Assert.Equal(full.ToArray(), sequence.Attention(layer, head, position)[..(position + 1)].ToArray());
                        }
                    }
                }
                Assert.Throws<ArgumentException>(() => sequence.Attention(0, 0, 1).Length);
            }
        }
    }

    [Fact]
    public async Task TheShares_AreThoseOfATrace_AndSumToOne()
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        using var session = model.OpenSession();
        var prompt = RunningServer.PromptOf(model, session);
        var shape = model.Engine.Shape;
        var trace = new Trace([Site.AttnPattern]);
        session.Forward(prompt, Intervention.None, trace);
        var instruction = prompt.Span(SpanKind.Instruction);
        double Share(IEnumerable<int> keys)
        {
            var sum = 0.0;
            foreach (var key in keys)
            {
                for (var layer = 0; layer < shape.Layers; layer++)
                {
                    for (var head = 0; head < shape.Heads; head++)
                        sum += instruction.Sum(
                            p => (double)trace[Site.AttnPattern, layer][(head * prompt.Length + p) * prompt.Length + key]);
                }
            }
            return sum / (shape.Layers * shape.Heads * instruction.Count);
        }
        var answers = AnswerEntities.Of(["green"], ["purple"], true, model.Tokenizer, out _)!;
        using var scheduler = new Scheduler(model.Engine, new SchedulerOptions { Rows = 9 });
        for (var i = 0; i < 2; i++)
        {
            var reading = new DecisionReading(model, prompt, answers, new ReadingScope([(3, 5)], true));
            await scheduler.Submit(new Job
                { Prompt = prompt, Tokens = 1, Sites = reading.Sites, Positions = reading.Positions, Recorded = reading.Read }).Result;
            var shares = reading.Decision!.Attention;
            Assert.Equal(["image", "instruction", "template"], shares.Keys.Order());
            Assert.Equal(1, shares.Values.Sum(), 1e-5);
            Assert.Equal(Share(prompt.Span(SpanKind.Image)), shares["image"], 1e-9);
            Assert.Equal(Share(instruction), shares["instruction"], 1e-9);
        }
    }
}
