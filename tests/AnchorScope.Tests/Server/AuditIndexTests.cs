using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;
using AnchorScope.Tests.Cli;
using Microsoft.Data.Sqlite;

namespace AnchorScope.Tests.Server;

/// <summary>The index answers what the log would, however it was lost; proofs are checked without the log; refusals are on the record.
/// </summary>
public sealed class AuditIndexTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private string Folder => _temp.File("audit");

    private string IndexFile => Path.Combine(Folder, AuditIndex.FileName);

    [Theory]
    [InlineData("nothing")]
    [InlineData("lost")]
    [InlineData("behind")]
    [InlineData("no database")]
    [InlineData("damaged")]
    [InlineData("other tables")]
    [InlineData("of another log")]
    public void TheIndex_IsMadeAgainFromTheLog(string how)
    {
        Write(50);
        Fill();
        switch (how)
        {
            case "lost":
                File.Delete(IndexFile);
                break;
            case "behind":
                Write(30);
                break;
            case "no database":
                File.WriteAllText(IndexFile, new string('x', 5000));
                break;
            case "damaged":
                var bytes = File.ReadAllBytes(IndexFile);
                bytes.AsSpan(4096, 6000).Fill(0xA5);
                File.WriteAllBytes(IndexFile, bytes);
                break;
            case "other tables":
                using (var connection = new SqliteConnection($"Data Source={IndexFile};Pooling=False"))
                {
                    connection.Open();
                    using var command = connection.CreateCommand();
                    command.CommandText = "DROP TABLE records";
                    command.ExecuteNonQuery();
                }
                break;
            case "of another log":
                Directory.Delete(Path.Combine(Folder, AuditLog.Checkpoints), recursive: true);
                File.Delete(Path.Combine(Folder, AuditLog.FileName));
                Write(20, "other");
                break;
        }
        using var index = new AuditIndex(Folder);
        index.CatchUp();
        var records = AuditReader.Records(Folder);
        Assert.Equal(records.Select(r => $"{r.Index} {r.Json["time"]} {r.Json["kind"]} {r.Json["caller"]}"),
            index.Find(new RecordQuery()).Select(r => $"{r.Index} {r.Time} {r.Kind} {r.Caller}"));
        Assert.Equal(records.Where(r => r.Json["kind"]!.ToString() == "knob").TakeLast(3).Reverse().Select(r => r.Index),
            index.Latest(3, "knob").Select(r => r.Index));
        Assert.Equal(records.Reverse().Take(2).Select(r => r.Index), index.Latest(2, null).Select(r => r.Index));
    }

    [Fact]
    public void Show_FindsWithAndWithoutTheIndex()
    {
        Write(40);
        string Show(params string[] conditions)
        {
            var (exit, output, error) = Ascope.Run(_temp.Path, ["audit", "show", Folder, .. conditions]);
            Assert.True(exit == 0, error);
            return output;
        }
        var all = Show().Split('\n');
        var knobs = Show("--kind", "knob", "--caller", "two");
        Assert.True(File.Exists(IndexFile));
        Assert.Equal(all.Where((_, i) => i < 40 && i % 3 == 0 && i % 2 == 1), knobs.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(all[38..40], Show("--last", "2", "--from", "2026-01-01", "--to", "2099-01-01").Split('\n')[..2]);
        Assert.Empty(Show("--to", "2026-01-01"));
        // What the index says is not believed: the record has to fit, or all records are read.
        File.SetAttributes(IndexFile, FileAttributes.Normal);
        using (var connection = new SqliteConnection($"Data Source={IndexFile};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "UPDATE records SET place = 0";
            command.ExecuteNonQuery();
        }
        Assert.Equal(knobs, Show("--kind", "knob", "--caller", "two"));
        foreach (var wrong in new[] { new[] { "--from", "2026-02-01", "--to", "2026-01-01" }, ["--last", "0"],
            ["--id", "1", "--last", "1"] })
            Assert.Equal(2, Ascope.Run(_temp.Path, ["audit", "show", Folder, .. wrong]).ExitCode);
        Assert.Equal(2, Ascope.Run(_temp.Path, "audit", "export", Folder, "--from", "2026-02-01", "--to", "2026-01-01").ExitCode);
    }

    [Fact]
    public void Proofs_AreCheckedWithoutTheLog()
    {
        Write(11);
        var key = Path.Combine(Folder, "key.pub");
        (int ExitCode, string Output, string Error) Run(params string[] arguments) => Ascope.Run(_temp.Path, ["audit", .. arguments]);
        var (inclusion, consistency) = (_temp.File("inclusion.json"), _temp.File("consistency.json"));
        File.WriteAllText(inclusion, Run("prove", Folder, "--id", "number 5").Output);
        File.WriteAllText(consistency, Run("consistency", Folder, "--from", "4", "--to", "11").Output);
        File.Copy(key, _temp.File("key.pub"));
        Directory.Move(Folder, _temp.File("gone"));
        Assert.StartsWith("holds: record 5 ", Run("verify-proof", inclusion, "--key", "key.pub").Output, StringComparison.Ordinal);
        Assert.StartsWith("holds: the log of ", Run("verify-proof", consistency, "--key", "key.pub").Output, StringComparison.Ordinal);
        foreach (var (file, there, instead, exit) in new[]
        {
            (inclusion, "number 5", "number 6", 1), (inclusion, "\"index\": 5", "\"index\": 4", 1),
            (inclusion, "\"tree_size\": 11", "\"tree_size\": 12", 1), (inclusion, "\"hashes\"", "\"hash\"", 2),
            (inclusion, "{", "[", 2), (consistency, "\"hashes\": [", "\"hashes\": [\"" + Convert.ToBase64String(new byte[32]) + "\",", 1),
            (consistency, "\"hashes\": [", "\"hashes\": [\"x\",", 2), (consistency, "\"from\"", "\"form\"", 2),
            (consistency, "\"from\": \"anchorscope", "\"from\": \"other", 2),
        })
        {
            var text = File.ReadAllText(file);
            var at = text.IndexOf(there, StringComparison.Ordinal);
            Assert.True(at >= 0, there);
            var wrong = _temp.Write("wrong.json", text[..at] + instead + text[(at + there.Length)..]);
            Assert.Equal((there, exit), (there, Run("verify-proof", wrong, "--key", "key.pub").ExitCode));
        }
        Assert.Equal(2, Run("verify-proof", inclusion, "--key", LogKeyOfAnother()).ExitCode);
        Assert.Contains("expected one of 5 records", Run("consistency", _temp.File("gone"), "--from", "5").Error, StringComparison.Ordinal);
        // A record that no checkpoint covers yet: when there will be one is said.
        File.Delete(Path.Combine(_temp.File("gone"), AuditLog.Checkpoints, "000000000011"));
        var early = Run("prove", _temp.File("gone"), "--id", "number 9");
        Assert.Equal(2, early.ExitCode);
        Assert.Contains("one that covers record 9", early.Error, StringComparison.Ordinal);
        Assert.Contains("within 60 seconds", early.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_SaysWhatTheAnchorCovers()
    {
        Write(9);
        var anchor = Directory.CreateDirectory(_temp.File("anchor")).FullName;
        var empty = Ascope.Run(_temp.Path, "audit", "verify", Folder, "--anchor", anchor);
        Assert.Equal(1, empty.ExitCode);
        Assert.Contains("found none: the anchor proves nothing", empty.Output, StringComparison.Ordinal);
        File.Copy(Path.Combine(Folder, AuditLog.Checkpoints, "000000000008"), Path.Combine(anchor, "000000000008"));
        var (exit, output, _) = Ascope.Run(_temp.Path, "audit", "verify", Folder, "--anchor", anchor);
        Assert.Equal((0, "whole: 9 records, the first 9 of them under a signed checkpoint, the first 8 under one of the anchor"),
            (exit, output.Trim()));
        Assert.Equal(2, Ascope.Run(_temp.Path, "audit", "verify", Folder, "--anchor", _temp.File("none")).ExitCode);
        Assert.Equal(2, Ascope.Run(_temp.Path, "audit", "verify", anchor).ExitCode);
    }

    /// <summary>
    /// Without a key, with a key that lacks the role, knobs that do not exist: all are on the record, and cannot fill the disk.
    /// </summary>
    [Fact]
    public async Task Refusals_AreOnTheRecord()
    {
        var keys = _temp.File("keys.json");
        var (audit, turn) = (KeyRing.Add(keys, "auditor", Role.Audit), KeyRing.Add(keys, "night shift", Role.Operator));
        await using (var server = await RunningServer.Start(options => options with { Keys = keys, State = _temp.Path }))
        {
            for (var i = 0; i < 50; i++)
                Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync($"/v1/models/{i}")).StatusCode);
            Assert.Equal(HttpStatusCode.Forbidden, (await server.Post("/v1/chat/completions", RunningServer.Chat(), audit)).Status);
            foreach (var (key, status) in new[] { (audit, HttpStatusCode.Forbidden), (turn, HttpStatusCode.NotFound) })
            {
                using var request = new HttpRequestMessage(HttpMethod.Put, "/v1/anchorscope/knobs/gain")
                    { Content = RunningServer.Content("""{"value": 1, "reason": "x"}""") };
                request.Headers.Authorization = new("Bearer", key);
                using var response = await server.Client.SendAsync(request);
                Assert.Equal(status, response.StatusCode);
            }
        }
        var records = AuditReader.Records(Folder).Skip(1).ToList();
        Assert.Equal(["auditor 403 role_missing POST /v1/chat/completions", "auditor 403 role_missing PUT /v1/anchorscope/knobs/gain",
            "night shift 404 knob_not_found PUT /v1/anchorscope/knobs/gain"], records.Where(r => r.Json["kind"]!.ToString() == "refused")
            .Select(r => $"{r.Json["caller"]} {r.Json["status"]} {r.Json["code"]} {r.Json["method"]} {r.Json["path"]}"));
        var counted = Assert.Single(records, r => r.Json["kind"]!.ToString() == "unauthorized").Json;
        Assert.Equal((50L, 16), (counted["count"]!.GetValue<long>(), counted["address_hash"]!.ToString().Length));
    }

    [Fact]
    public void ManyAddresses_AreCountedTogether()
    {
        var tally = new RefusalTally(TimeProvider.System);
        for (var i = 0; i < 1000; i++) tally.Add(string.Create(CultureInfo.InvariantCulture, $"10.0.{i / 250}.{i % 250}"));
        var records = tally.Take();
        Assert.Equal((17, 1000L, 984L), (records.Count, records.Sum(r => r["count"]!.GetValue<long>()),
            records.Single(r => r["address_hash"]!.ToString() == "others")["count"]!.GetValue<long>()));
        Assert.Empty(tally.Take());
    }

    private string LogKeyOfAnother()
    {
        LogKey.LoadOrCreate(Directory.CreateDirectory(_temp.File("another")).FullName);
        return _temp.File("another/key.pub");
    }

    private void Fill()
    {
        using var index = new AuditIndex(Folder);
        index.CatchUp();
    }

    private void Write(int count, string name = "number")
    {
        using var log = new AuditLog(Folder, TimeProvider.System, new AuditLogOptions { Every = 4 });
        for (var i = 0; i < count; i++)
        {
            log.Append(i % 3 == 0 ? "knob" : "other", new JsonObject
            {
                ["id"] = string.Create(CultureInfo.InvariantCulture, $"{name} {i}"), ["caller"] = i % 2 == 0 ? "one" : "two",
            });
        }
    }

    public void Dispose() => _temp.Dispose();
}
