using System.Net;
using System.Text;
using System.Text.Json;
using AnchorScope.Server.Audit;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;

namespace AnchorScope.Tests.Server;

/// <summary>Requests that no client would send, and a server that is killed.</summary>
public sealed class HostileRequestTests : IDisposable
{
    private static readonly string[] Seeds =
    [
        """{"model": "relay", "messages": [{"role": "user", "content": "what colour is it ?"}], "stream": true, "n": 2, "temperature": 1}""",
        """{"model": "relay", "prompt": "what colour", "max_tokens": 2, "logprobs": 1, "stop": ["a", "b c"]}""",
        """
        {"model": "relay", "messages": [{"role": "system", "content": "hi"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}],
          "anchorscope": {"spans": [{"message": 1, "part": 0, "from": 0, "to": 1, "kind": "question"}], "interventions": []}}
        """,
    ];

    private static readonly string[] Values =
    [
        "null", "true", "-1", "1e999", "99999999999999999999", "\"\"", "[]", "{}", "\"\\ud800\"", "[[[[[[[[[[1]]]]]]]]]]", "\"<image>\"",
        "0.1", "\"data:image/png;base64,iVBORw0KGgo=\"", "\"http://169.254.169.254/latest\"", "{\"a\": 1, \"a\": 2}",
    ];

    private static readonly string[] Routes =
        ["/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics", "/v1/anchorscope", "/../etc/passwd"];

    private readonly TempFolder _temp = new();

    /// <summary>Mutated requests over all routes: never an error of the server, and its answers stay what they are.</summary>
    [Fact]
    public async Task MutatedRequests_AreRefusedOrAnswered()
    {
        await using var server = await RunningServer.Start();
        var chat = RunningServer.Chat(("max_tokens", 2), ("logprobs", true));
        var (_, before) = await server.Post("/v1/chat/completions", chat);
        string[] seeds = [JsonSerializer.Serialize(chat), .. Seeds];
        var (random, seen) = (new SplitMix(11), new HashSet<HttpStatusCode>());
        for (var round = 0; round < 2000; round++)
        {
            var bytes = Mutated(seeds[random.Below(seeds.Length)], random);
            using var content = new ByteArrayContent(bytes);
            content.Headers.ContentType = new("application/json");
            var route = Routes[random.Below(4) > 0 ? random.Below(2) : random.Below(Routes.Length)];
            using var response = await server.Client.PostAsync(route, content);
            var text = await response.Content.ReadAsStringAsync();
            Assert.True((int)response.StatusCode < 500, $"{response.StatusCode}: {Encoding.UTF8.GetString(bytes)}: {text}");
            if ((int)response.StatusCode >= 400)
                Assert.NotEmpty(JsonElement.Parse(text).GetProperty("error").GetProperty("message").GetString()!);
            seen.Add(response.StatusCode);
        }
        Assert.Superset(new HashSet<HttpStatusCode> { HttpStatusCode.OK, HttpStatusCode.BadRequest, HttpStatusCode.NotFound }, seen);
        var (_, after) = await server.Post("/v1/chat/completions", chat);
        Assert.Equal(before.GetProperty("choices").GetRawText(), after.GetProperty("choices").GetRawText());
    }

    /// <summary>Killed at any time: every answer that a client has as a whole is in the log, and the log is whole.</summary>
    [Fact]
    public async Task AServerThatIsKilled_LosesNoRecordOfAnAnswer()
    {
        if (OperatingSystem.IsWindows()) return;
        const int Kills = 6;
        var (state, random, answered) = (_temp.File("state"), new SplitMix(3), new List<string>());
        for (var round = 0; round < Kills; round++)
        {
            using var process = Ascope.Start(_temp.Path, "serve", "--model", Fixtures.Grown("relay"), "--urls", "http://127.0.0.1:0",
                "--state", state, "--threads", "1");
            var line = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
            Assert.StartsWith("listening on ", line, StringComparison.Ordinal);
            using var client = new HttpClient { BaseAddress = new Uri(line!["listening on ".Length..]) };
            var clients = Enumerable.Range(0, 4).Select(i => Task.Run(() => Ask(client, stream: i % 2 == 0, answered))).ToList();
            // After the first answers, at a random time.
            while (answered.Count <= round * 3 && !clients.TrueForAll(c => c.IsCompleted)) await Task.Delay(10);
            await Task.Delay(random.Below(300));
            process.Kill();
            await process.WaitForExitAsync();
            await Task.WhenAll(clients);
        }
        Assert.True(answered.Count > 3 * (Kills - 1), $"{answered.Count} answers");
        var folder = Path.Combine(state, "audit");
        Assert.Null(AuditReader.Broken(folder, LogKey.Parse(File.ReadAllText(Path.Combine(folder, "key.pub")).Trim(), "key.pub"), null));
        var records = AuditReader.Records(folder);
        Assert.Empty(answered.Except(records.Where(r => r.Json["kind"]!.ToString() == "request").Select(r => r.Json["id"]!.ToString())));
        Assert.Equal(Kills, records.Count(r => r.Json["kind"]!.ToString() == "start"));
    }

    /// <summary>A few random changes: bytes, pieces taken out or repeated, values of another kind.</summary>
    private static byte[] Mutated(string text, SplitMix random)
    {
        var bytes = Encoding.UTF8.GetBytes(text).ToList();
        for (var change = random.Below(4); change >= 0; change--)
        {
            var at = random.Below(bytes.Count);
            switch (random.Below(5))
            {
                case 0:
                    bytes[at] = (byte)random.Below(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(1 + random.Below(9), bytes.Count - at));
                    bytes.Add((byte)'}');
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.Take(1 + random.Below(Math.Min(20, bytes.Count))).ToArray());
                    break;
                default:
                    int[] colons = [.. Enumerable.Range(0, bytes.Count).Where(i => bytes[i] == ':')];
                    if (colons.Length == 0) break;
                    var start = colons[random.Below(colons.Length)] + 1;
                    var end = bytes.FindIndex(start, b => b is (byte)',' or (byte)'}');
                    if (end < 0) break;
                    bytes.RemoveRange(start, end - start);
                    bytes.InsertRange(start, Encoding.UTF8.GetBytes(Values[random.Below(Values.Length)]));
                    break;
            }
        }
        return [.. bytes];
    }

    /// <summary>Asks until the server is gone; keeps the ids of answers that came as a whole.</summary>
    private static async Task Ask(HttpClient client, bool stream, List<string> answered)
    {
        var body = JsonSerializer.Serialize(RunningServer.Chat(("max_tokens", 3), ("stream", stream)));
        while (true)
        {
            try
            {
                using var content = new StringContent(body, Encoding.UTF8, "application/json");
                using var response = await client.PostAsync("/v1/chat/completions", content);
                var text = await response.Content.ReadAsStringAsync();
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                if (stream && !text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)) return;
                var json = JsonElement.Parse(stream ? text["data: ".Length..text.IndexOf("\n\n", StringComparison.Ordinal)] : text);
                lock (answered) answered.Add(json.GetProperty("id").GetString()!);
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                return;
            }
        }
    }

    public void Dispose() => _temp.Dispose();
}
