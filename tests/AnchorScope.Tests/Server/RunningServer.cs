using System.Net;
using System.Text;
using System.Text.Json;
using AnchorScope.Engines;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>A server on a free port of this machine, and requests to it.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    private readonly InferenceServer _server;
    private readonly TempFolder _state;

    private RunningServer(InferenceServer server, TempFolder state)
    {
        (_server, _state) = (server, state);
        Client = new HttpClient { BaseAddress = new Uri(server.Url) };
    }

    public HttpClient Client { get; }

    public InferenceServer Server => _server;

    public static async Task<RunningServer> Start(Func<ServerOptions, ServerOptions>? with = null, TimeProvider? time = null)
    {
        var state = new TempFolder();
        var options = new ServerOptions { Model = Fixtures.Grown("relay"), Url = "http://127.0.0.1:0", State = state.Path };
        return new RunningServer(await InferenceServer.Start(with?.Invoke(options) ?? options, time), state);
    }

    /// <summary>A picture of the bundled data as a data address.</summary>
    public static string Picture(string name = "test-0001") =>
        "data:image/png;base64," + Convert.ToBase64String(File.ReadAllBytes(Path.Combine(Fixtures.Conflicts, "images", name + ".png")));

    /// <summary>The members of a chat about a picture with a note and an instruction.</summary>
    public static Dictionary<string, object?> Chat(string picture, string note, string instruction) => new()
    {
        ["model"] = "relay",
        ["messages"] = new object[]
        {
            new
            {
                role = "user",
                content = new object[]
                {
                    new { type = "image_url", image_url = new { url = picture } },
                    new { type = "text", text = note },
                    new { type = "text", text = instruction },
                },
            },
        },
    };

    public static Dictionary<string, object?> Chat(params (string Name, object? Value)[] with)
    {
        var chat = Chat(Picture(), "note : one purple star on night . what colour is it ? ", "trust the picture");
        foreach (var (name, value) in with) chat[name] = value;
        return chat;
    }

    /// <summary>Sends a request and reads the response as JSON.</summary>
    public async Task<(HttpStatusCode Status, JsonElement Json)> Post(string path, object body, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = Content(body) };
        if (key is not null) request.Headers.Authorization = new("Bearer", key);
        using var response = await Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return (response.StatusCode, JsonElement.Parse(text));
    }

    /// <summary>The events of a stream, without "data: ".</summary>
    public async Task<List<string>> Stream(string path, object body)
    {
        using var response = await Client.PostAsync(path, Content(body));
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var events = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        return [.. events.Select(
            e => e.StartsWith("data: ", StringComparison.Ordinal) ? e["data: ".Length..] : throw new FormatException(e))];
    }

    public static StringContent Content(object body) =>
        new(body as string ?? JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");

    /// <summary>A policy for the model that is served.</summary>
    public static string WritePolicy(TempFolder temp, string interventions, bool keep = false)
    {
        using var model = VisionLanguageModel.Open(Fixtures.Grown("relay"));
        var path = temp.File("policy.json");
        File.WriteAllText(path, $$"""
            {"version": 1, "name": "test", "model": "{{model.Checkpoint.Identity.Weights}}", "interventions": {{interventions}}, "keep_content": {{(keep ? "true" : "false")}}}
            """);
        return path;
    }

    /// <summary>The prompt of the usual chat, made without a server.</summary>
    public static Prompt PromptOf(VisionLanguageModel model, ISession session) => model.Prompt(
        [
            new ChatMessage("user", [new ImagePart(), new TextPart("note : one purple star on night . what colour is it ? "),
                new TextPart("trust the picture") { Kind = SpanKind.Instruction }]),
        ],
        [AnchorScope.Prompts.Picture.Load(Path.Combine(Fixtures.Conflicts, "images", "test-0001.png"))], session);

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _server.DisposeAsync();
        _state.Dispose();
    }
}
