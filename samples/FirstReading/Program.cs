using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Studies;

using var model = VisionLanguageModel.Open("models/relay");
using var session = model.OpenSession();
var note = new TextPart("note : one purple star on night . what colour is it ? ");
var told = new TextPart("trust the picture") { Kind = SpanKind.Instruction };
var prompt = model.Prompt(
    [new ChatMessage("user", [new ImagePart(), note, told])], [Picture.Load("data/organism-conflicts/images/test-0001.png")], session);
using var run = session.Record(prompt, new RecordOptions { Sites = [Site.ResidPost] });
foreach (var (token, probability) in LogitLens.Top(session, run.Trace!, layer: 6, prompt.Last, count: 3))
    Console.WriteLine($"after layer 6: {probability:0.000} {model.Tokenizer.TokenText(token)}");
var blocked = Intervention.HeadGain(layer: 2, head: 1, gain: 0, prompt.Positions(SpanKind.Instruction));
foreach (var logits in Sweep.Run(session, run, [Intervention.None, blocked]))
    Console.WriteLine($"answer: {model.Tokenizer.TokenText(Array.IndexOf(logits, logits.Max()))}");
