// Four answers to one prompt, each under an intervention of its own, computed in the same passes. The bundled model answers in one word.
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;

using var model = VisionLanguageModel.Open("models/relay");
using var session = model.OpenSession(new SessionOptions { Threads = Environment.ProcessorCount });
var note = new TextPart("note : one purple star on night . what colour is it ? ") { Kind = SpanKind.TextContext };
var told = new TextPart("trust the note") { Kind = SpanKind.Instruction };
var prompt = model.Prompt(
    [new ChatMessage("user", [new ImagePart(), note, told])], [Picture.Load("data/organism-conflicts/images/test-0001.png")], session);

// What is asked, as data: attention edges that are cut, heads whose outputs are multiplied.
var (instruction, layers) = (prompt.Positions(SpanKind.Instruction), Enumerable.Range(0, session.Engine.Shape.Layers));
Intervention[] asked =
[
    Intervention.None,
    Intervention.Knockout("the instruction does not attend to the note", layers, instruction, prompt.Positions(SpanKind.TextContext)),
    Intervention.Knockout("the last position does not attend to the instruction", layers, prompt.Positions(SpanKind.Last), instruction),
    Intervention.HeadGain("the arbiters are blocked", [(3, 5), (3, 7), (3, 3), (4, 5), (3, 2), (3, 1), (4, 0)], gain: 0, instruction),
];

// The prompt runs once; every sequence starts from it where its intervention can first change something.
using var recorded = session.Record(prompt);
var sequences = asked.Select(intervention => new Sequence(
    session, prompt, new SequenceOptions(Tokens: 1) { Intervention = intervention, Stop = model.StopTokens }, recorded)).ToList();
while (SequenceBatch.Step(session, sequences) > 0)
{
}
for (var i = 0; i < asked.Length; i++)
{
    Console.WriteLine($"{asked[i].Name}: {model.Tokenizer.Decode([.. sequences[i].Tokens])} ({sequences[i].Finished})");
    sequences[i].Dispose();
}
