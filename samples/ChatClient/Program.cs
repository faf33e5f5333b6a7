using AnchorScope.Extensions.AI;
using AnchorScope.Interventions;
using AnchorScope.Prompts;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

using IChatClient client = AnchorScopeChatClient.Open("models/relay");
var picture = new DataContent(File.ReadAllBytes("data/organism-conflicts/images/test-0001.png"), "image/png");
var note = new TextContent("note : one purple star on night . what colour is it ? ");
var question = new ChatMessage(ChatRole.User, [picture, note, new TextContent("trust the picture")]);

// Which of the two does the model follow?
var options = new ChatOptions { MaxOutputTokens = 1 }.WithAnswers(vision: ["green"], text: ["purple"]);
var answer = await client.GetResponseAsync([question], options);
var decision = answer.ModelAnswer()!.Decision!;
Console.WriteLine(FormattableString.Invariant($"{answer.Text}: follows {decision.Followed} by {decision.Margin:0.0}"));

// The same question with a head blocked at the positions of the instruction.
options.WithIntervention(prompt => Intervention.HeadGain(layer: 2, head: 1, gain: 0, prompt.Positions(SpanKind.Instruction)));
Console.WriteLine($"blocked: {(await client.GetResponseAsync([question], options)).Text}");
