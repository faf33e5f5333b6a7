using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Server.Audit;
using AnchorScope.Tests.Checkpoints;
using Microsoft.Win32.SafeHandles;

namespace AnchorScope.Tests.Server;

/// <summary>A disk that is full, and an anchor that is gone: nothing is answered unrecorded, and the server recovers by itself.</summary>
public sealed class AuditFailureTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private volatile bool _full;

    private string State => _temp.File("state");

    private string Folder => Path.Combine(State, "audit");

    [Fact]
    public void ALog_GoesOnWhenThereIsSpaceAgain()
    {
        using (var log = new AuditLog(Folder, TimeProvider.System, Full()))
        {
            log.Append("request", new JsonObject { ["id"] = "a" });
            _full = true;
            Assert.Throws<IOException>(() => log.Append("request", new JsonObject { ["id"] = "b", ["long"] = new string('x', 1000) }));
            Assert.Contains("No space left", log.Failure(), StringComparison.Ordinal);
            Assert.Throws<IOException>(() => log.Append("request", new JsonObject { ["id"] = "c" }));
            Assert.Equal(1, log.Count);
            _full = false;
            Assert.Equal(2, log.Append("request", new JsonObject { ["id"] = "d" }).Index);
            Assert.Null(log.Failure());
        }
        Assert.Null(AuditReader.Broken(Folder, Key(), null));
        var records = AuditReader.Records(Folder);
        Assert.Equal(["request a", "resumed ", "request d"], records.Select(r => $"{r.Json["kind"]} {r.Json["id"]}"));
        Assert.Contains("No space left", records[1].Json["reason"]!.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The disk is full between two requests, and in the middle of a stream.</summary>
    [Fact]
    public async Task AFullDisk_StopsAnswers_UntilItHasSpace()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": []}""", keep: true);
        await using (var server = await RunningServer.Start(options => options with { State = State, Policy = policy, Log = Full() }))
        {
            Task<(HttpStatusCode Status, JsonElement Json)> Ask() => server.Post("/v1/chat/completions", RunningServer.Chat());
            Assert.Equal(HttpStatusCode.OK, (await Ask()).Status);
            _full = true;
            // The first fails when its answer is there, the second before it is computed.
            for (var i = 0; i < 2; i++)
            {
                var (status, json) = await Ask();
                Assert.Equal((HttpStatusCode.ServiceUnavailable, "audit_unavailable"),
                    (status, json.GetProperty("error").GetProperty("code").GetString()));
            }
            using (var ready = await server.Client.GetAsync("/health/ready"))
            {
                Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
                Assert.Contains("No space left", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            }
            _full = false;
            Assert.Equal("ok", await server.Client.GetStringAsync("/health/ready"));
            Assert.Equal(HttpStatusCode.OK, (await Ask()).Status);
            Assert.Null(await server.Server.Stop());
        }
        Assert.Equal(["start", "request", "resumed", "request", "stop"],
            AuditReader.Records(Folder).Select(record => record.Json["kind"]!.ToString()));
        Assert.Null(AuditReader.Broken(Folder, Key(), null));
        var content = Directory.GetFiles(Path.Combine(State, "content"));
        Assert.Equal(2, content.Length);
        if (OperatingSystem.IsWindows()) return;
        foreach (var file in content) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(Path.Combine(State, "content")));
    }

    [Fact]
    public async Task AStreamThatCannotBeRecorded_EndsWithAnError()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": []}""", keep: true);
        await using (var server = await RunningServer.Start(
            options => options with { State = State, Policy = policy, Log = Full(fullAt: "\"kind\":\"request\"") }))
        {
            var events = await server.Stream("/v1/chat/completions", RunningServer.Chat(("stream", true)));
            Assert.Equal("audit_unavailable", JsonElement.Parse(events[^1]).GetProperty("error").GetProperty("code").GetString());
            Assert.DoesNotContain("[DONE]", events);
            Assert.DoesNotContain(events, e => e.Contains("\"finish_reason\":\"", StringComparison.Ordinal));
            Assert.Empty(Directory.GetFiles(Path.Combine(State, "content")));
            _full = true;
            Assert.Contains("No space left", await server.Server.Stop(), StringComparison.Ordinal);
        }
    }

    /// <summary>A checkpoint is made by time, and goes to a folder and a command; that they fail is told once and stops nothing.</summary>
    [Fact]
    public async Task TheAnchor_GetsCheckpointsByTime_AndMayFail()
    {
        if (OperatingSystem.IsWindows()) return;
        var anchor = Directory.CreateDirectory(_temp.File("anchor")).FullName;
        var options = new AuditLogOptions
        {
            Anchor = anchor, AnchorCommand = $"test ! -e '{_temp.File("down")}' && cat > '{_temp.Path}/'$ANCHORSCOPE_CHECKPOINT",
            Period = TimeSpan.FromMilliseconds(50),
        };
        using (var log = new AuditLog(Folder, TimeProvider.System, options))
        {
            log.Append("request", []);
            await Until(() => File.Exists(_temp.File("000000000001")) && new FileInfo(_temp.File("000000000001")).Length > 0);
            Assert.Equal(File.ReadAllText(_temp.File("000000000001")), File.ReadAllText(Path.Combine(anchor, "000000000001")));
            _temp.Write("down", "");
            log.Append("request", []);
            await Until(() => AuditReader.Records(Folder).Any(r => r.Json["alert"]?.ToString() == "anchor"));
            log.Append("request", []);
            await Until(() => log.AnchorFailures > 1 && log.Sealed == log.Count);
            File.Delete(_temp.File("down"));
            log.Append("request", []);
            await Until(() => AuditReader.Records(Folder).Count(r => r.Json["alert"]?.ToString() == "anchor") == 2);
        }
        Assert.Equal(["false --anchor-command: exit code 1", "true "], AuditReader.Records(Folder)
            .Where(r => r.Json["kind"]!.ToString() == "alert").Select(r => $"{r.Json["cleared"]!.ToJsonString()} {r.Json["detail"]}"));
        Assert.Null(AuditReader.Broken(Folder, Key(), anchor));
    }

    [Fact]
    public async Task KeptRequests_AreDeletedAfterTheirTime()
    {
        var policy = RunningServer.WritePolicy(_temp, """{"kinds": []}""", keep: true);
        File.WriteAllText(policy, File.ReadAllText(policy).Replace(
            "\"keep_content\"", "\"content_days\": 30, \"keep_content\"", StringComparison.Ordinal));
        await using (var server = await RunningServer.Start(options => options with { State = State, Policy = policy }))
            await server.Post("/v1/chat/completions", RunningServer.Chat());
        var kept = Assert.Single(Directory.GetFiles(Path.Combine(State, "content")));
        File.SetLastWriteTimeUtc(kept, DateTime.UtcNow.AddDays(-31));
        await using (await RunningServer.Start(options => options with { State = State, Policy = policy }))
            Assert.False(File.Exists(kept));
        Assert.Equal(["30 0 0", "30 1 0"], AuditReader.Records(Folder).Where(r => r.Json["kind"]!.ToString() == "content_sweep")
            .Select(r => $"{r.Json["days"]} {r.Json["deleted"]} {r.Json["left"]}"));
        File.WriteAllText(policy, File.ReadAllText(policy).Replace(
            "\"keep_content\": true", "\"keep_content\": false", StringComparison.Ordinal));
        var wrong = await Assert.ThrowsAsync<InputException>(() => RunningServer.Start(options => options with { Policy = policy }));
        Assert.Contains("content_days: expected keep_content true beside it", wrong.Message, StringComparison.Ordinal);
    }

    private static async Task Until(Func<bool> condition)
    {
        for (var i = 0; i < 200 && !condition(); i++) await Task.Delay(50);
        Assert.True(condition());
    }

    private LogKey Key() => LogKey.Parse(File.ReadAllText(Path.Combine(Folder, "key.pub")).Trim(), "key.pub");

    /// <summary>A log whose disk is full when the test says so, or at records with a text: half of each is written.</summary>
    private AuditLogOptions Full(string? fullAt = null) => new()
    {
        Write = (file, bytes, place) =>
        {
            if (!_full && (fullAt is null || !System.Text.Encoding.UTF8.GetString(bytes).Contains(fullAt, StringComparison.Ordinal)))
            {
                Usual(file, bytes, place);
                return;
            }
            Usual(file, bytes[..(bytes.Length / 2)], place);
            throw new IOException("No space left on device");
        },
    };

    private static readonly Action<SafeFileHandle, byte[], long> Usual = new AuditLogOptions().Write;

    public void Dispose() => _temp.Dispose();
}
