using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using AnchorScope.Server.Audit;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Server;

/// <summary>The log shows what was done to it, whoever did it.</summary>
public sealed class AuditLogTests : IDisposable
{
    private readonly TempFolder _temp = new();

    private string Folder => _temp.File("audit");

    private string Anchor => _temp.File("anchor");

    private AuditLogOptions Often => new() { Anchor = Directory.CreateDirectory(Anchor).FullName, Every = 4 };

    private string LogFile => Path.Combine(Folder, AuditLog.FileName);

    [Fact]
    public void ALog_GoesOnWhereItWas_AndIsWhole()
    {
        Write(5);
        using (var log = new AuditLog(Folder, TimeProvider.System, Often))
        {
            Assert.Equal((5, 0), (log.Count, log.Recovered));
            Assert.Equal(5, log.Append("request", new JsonObject { ["id"] = "again", ["text"] = "Grüße \"\n\u2028" }).Index);
        }
        Assert.Null(AuditReader.Broken(Folder, Key(), Anchor));
        var records = AuditReader.Records(Folder);
        Assert.Equal(6, records.Count);
        Assert.Equal(6, AuditReader.LastSealed(Folder));
        for (var i = 0; i < records.Count; i++)
        {
            var proof = InclusionProof.Of(records[i], Folder, Key());
            Assert.True(InclusionProof.Holds(proof, Key(), "proof"));
            proof["record"]!["id"] = "other";
            Assert.False(InclusionProof.Holds(proof, Key(), "proof"));
        }
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Folder, "key")));
    }

    /// <summary>A log is verified and read while a server writes it: what comes in meanwhile is no sign of tampering.</summary>
    [Fact]
    public async Task ALogInUse_IsVerified()
    {
        using var log = new AuditLog(Folder, TimeProvider.System, new AuditLogOptions { Every = 1 });
        var writing = Task.Run(() =>
        {
            while (log.Count < 400) log.Append("request", new JsonObject { ["id"] = $"number {log.Count}" });
        });
        while (!writing.IsCompleted)
        {
            Assert.Null(AuditReader.Broken(Folder, Key(), null));
            var latest = AuditReader.Latest(Folder, 10).Select(record => record["index"]!.GetValue<long>()).ToList();
            Assert.Equal(latest.Order().Reverse(), latest);
        }
        await writing;
        Assert.Equal(Enumerable.Range(1, 10).Select(i => log.Count - i),
            AuditReader.Latest(Folder, 10).Select(record => record["index"]!.GetValue<long>()));
        Assert.Equal(log.Count, AuditReader.Latest(Folder, 1_000_000).Count);
    }

    /// <summary>Two servers on one folder would overwrite each other's records.</summary>
    [Fact]
    public void ALogInUse_IsRefused()
    {
        using (var log = new AuditLog(Folder, TimeProvider.System))
        {
            var refused = Assert.Throws<InputException>(() => new AuditLog(Folder, TimeProvider.System));
            Assert.Contains("another server keeps its log there", refused.Message, StringComparison.Ordinal);
            log.Append("request", []);
        }
        using var next = new AuditLog(Folder, TimeProvider.System);
        Assert.Equal(1, next.Count);
    }

    /// <summary>Whatever is done to one line is found, and where.</summary>
    [Theory]
    [InlineData("edit", 3)]
    [InlineData("remove", 3)]
    [InlineData("reorder", 3)]
    [InlineData("insert", 3)]
    [InlineData("cut off", 6)]
    [InlineData("edit the last", 8)]
    [InlineData("space", 3)]
    public void Tampering_IsFoundWithItsPlace(string how, int place)
    {
        Write(9);
        var lines = File.ReadAllLines(LogFile).ToList();
        switch (how)
        {
            case "edit":
                lines[3] = lines[3].Replace("number 3", "number 4", StringComparison.Ordinal);
                break;
            case "edit the last":
                lines[8] = lines[8].Replace("number 8", "number 4", StringComparison.Ordinal);
                break;
            case "space":
                lines[3] = lines[3].Replace(",\"kind\"", ", \"kind\"", StringComparison.Ordinal);
                break;
            case "remove":
                lines.RemoveAt(3);
                break;
            case "reorder":
                (lines[3], lines[4]) = (lines[4], lines[3]);
                break;
            case "insert":
                lines.Insert(3, lines[2]);
                break;
            default:
                lines.RemoveRange(6, 3);
                break;
        }
        File.WriteAllText(LogFile, string.Concat(lines.Select(line => line + "\n")));
        var broken = AuditReader.Broken(Folder, Key(), Anchor);
        Assert.NotNull(broken);
        Assert.Contains(how == "edit the last" ? "records 0 to 8" : $"record {place}", broken, StringComparison.Ordinal);
        Assert.Contains(broken, Assert.Throws<InputException>(() => new AuditLog(Folder, TimeProvider.System, Often)).Message,
            StringComparison.Ordinal);
    }

    /// <summary>The holder of the key can write another log. Only a copy of a checkpoint elsewhere shows it.</summary>
    [Fact]
    public void ARewriteByTheHolderOfTheKey_IsShownByTheAnchor()
    {
        Write(9);
        File.Delete(LogFile);
        Directory.Delete(Path.Combine(Folder, AuditLog.Checkpoints), recursive: true);
        using (var log = new AuditLog(Folder, TimeProvider.System, Often with { Anchor = null }))
            log.Append("request", new JsonObject { ["id"] = "forged" });
        Assert.Null(AuditReader.Broken(Folder, Key(), null));
        Assert.Contains("the log was cut off", AuditReader.Broken(Folder, Key(), Anchor), StringComparison.Ordinal);
        // Another key's signature on a checkpoint is found, too.
        File.WriteAllText(Path.Combine(Folder, AuditLog.Checkpoints, "000000000001"),
            LogKey.LoadOrCreate(Directory.CreateDirectory(_temp.File("other")).FullName).Sign("x\n1\nAAAA\n"));
        Assert.Contains("signature", AuditReader.Broken(Folder, Key(), null), StringComparison.Ordinal);
    }

    /// <summary>An anchor without checkpoints proves nothing, and local ones that are gone show against it.</summary>
    [Fact]
    public void TheAnchor_ShowsWhatIsMissing()
    {
        Write(9);
        var scan = LogScan.Of(Folder, Key(), Anchor);
        Assert.Equal((null, 9, 9), (scan.Broken, scan.Sealed, scan.Anchored));
        var empty = Directory.CreateDirectory(_temp.File("empty")).FullName;
        Assert.Contains("the anchor proves nothing", AuditReader.Broken(Folder, Key(), empty), StringComparison.Ordinal);
        var checkpoints = Path.Combine(Folder, AuditLog.Checkpoints);
        File.Move(Path.Combine(checkpoints, "000000000004"), _temp.File("kept"));
        Assert.Contains("000000000004: expected the checkpoint", AuditReader.Broken(Folder, Key(), Anchor), StringComparison.Ordinal);
        Directory.Delete(checkpoints, recursive: true);
        Assert.Null(AuditReader.Broken(Folder, Key(), null));
        Assert.Contains("checkpoints of the log were removed", AuditReader.Broken(Folder, Key(), Anchor), StringComparison.Ordinal);
        Assert.Contains("checkpoints of the log were removed", Assert.Throws<InputException>(
            () => new AuditLog(Folder, TimeProvider.System, Often)).Message, StringComparison.Ordinal);
        // What a missing mount looks like.
        var missing = Assert.Throws<InputException>(
            () => new AuditLog(_temp.File("new"), TimeProvider.System, new AuditLogOptions { Anchor = _temp.File("none") }));
        Assert.Contains("--anchor", missing.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_temp.File("none")));
    }

    /// <summary>A process that is killed leaves at most a part of a record that nobody was told about.</summary>
    [Fact]
    public void AnUnfinishedRecord_IsRemovedAtTheStart()
    {
        Write(5);
        var whole = File.ReadAllBytes(LogFile);
        for (var cut = 1; cut < 60; cut += 7)
        {
            File.WriteAllBytes(LogFile, [.. whole, .. Encoding.UTF8.GetBytes(new string('{', cut))]);
            Assert.Null(AuditReader.Broken(Folder, Key(), Anchor));
            using var log = new AuditLog(Folder, TimeProvider.System, Often);
            Assert.Equal((5, cut), (log.Count, log.Recovered));
        }
        Assert.Equal(whole, File.ReadAllBytes(LogFile));
    }

    /// <summary>Trees of every size up to 40: the root is that of the recursive definition, and every proof holds.</summary>
    [Fact]
    public void TheTree_IsThatOfRfc6962()
    {
        static byte[] Recursive(byte[][] entries)
        {
            if (entries.Length == 0) return SHA256.HashData([]);
            if (entries.Length == 1) return SHA256.HashData([0, .. entries[0]]);
            var k = 1;
            while (k * 2 < entries.Length) k *= 2;
            return SHA256.HashData([1, .. Recursive(entries[..k]), .. Recursive(entries[k..])]);
        }
        // The test vectors of the certificate transparency project.
        Assert.Equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Convert.ToHexStringLower(new MerkleTree().Root));
        string[] known = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        var tree = new MerkleTree();
        foreach (var entry in known) tree.Append(MerkleTree.Leaf(Convert.FromHexString(entry)));
        Assert.Equal("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328", Convert.ToHexStringLower(tree.Root));
        for (var count = 0; count <= 40; count++)
        {
            byte[][] entries = [.. Enumerable.Range(0, count).Select(i => Encoding.UTF8.GetBytes($"entry {i}"))];
            byte[][] leaves = [.. entries.Select(entry => MerkleTree.Leaf(entry))];
            tree = new MerkleTree();
            foreach (var leaf in leaves) tree.Append(leaf);
            Assert.Equal(Recursive(entries), tree.Root);
            for (var i = 0; i < count; i++)
            {
                var first = new MerkleTree();
                foreach (var leaf in leaves.Take(i)) first.Append(leaf);
                var beginning = MerkleTree.Consistency(leaves, i);
                Assert.True(MerkleTree.IsConsistent((i, first.Root), (count, tree.Root), beginning));
                if (i > 0)
                {
                    Assert.False(MerkleTree.IsConsistent((i, MerkleTree.Leaf([9])), (count, tree.Root), beginning));
                    Assert.False(MerkleTree.IsConsistent((i, first.Root), (count, MerkleTree.Leaf([9])), beginning));
                    Assert.False(MerkleTree.IsConsistent((i, first.Root), (count, tree.Root), [.. beginning, first.Root]));
                    Assert.False(MerkleTree.IsConsistent((i, first.Root), (count, tree.Root), [.. beginning.Skip(1)]));
                }
                var proof = MerkleTree.Proof(leaves, i);
                Assert.Equal(tree.Root, MerkleTree.RootOf(leaves[i], i, count, proof));
                Assert.NotEqual(tree.Root, MerkleTree.RootOf(MerkleTree.Leaf([9]), i, count, proof));
                if (count > 1) Assert.NotEqual(tree.Root, MerkleTree.RootOf(leaves[i], (i + 1) % count, count, proof));
            }
        }
    }

    /// <summary>Examples of RFC 8785, and its appendix B.</summary>
    [Theory]
    [InlineData(0x0000000000000000UL, "0")]
    [InlineData(0x8000000000000000UL, "0")]
    [InlineData(0x0000000000000001UL, "5e-324")]
    [InlineData(0x7fefffffffffffffUL, "1.7976931348623157e+308")]
    [InlineData(0x4340000000000000UL, "9007199254740992")]
    [InlineData(0x4430000000000000UL, "295147905179352830000")]
    [InlineData(0x44b52d02c7e14af5UL, "9.999999999999997e+22")]
    [InlineData(0x44b52d02c7e14af6UL, "1e+23")]
    [InlineData(0x444b1ae4d6e2ef4eUL, "999999999999999700000")]
    [InlineData(0x444b1ae4d6e2ef50UL, "1e+21")]
    [InlineData(0x3eb0c6f7a0b5ed8cUL, "9.999999999999997e-7")]
    [InlineData(0x3eb0c6f7a0b5ed8dUL, "0.000001")]
    [InlineData(0x41b3de4355555553UL, "333333333.3333332")]
    [InlineData(0xbecbf647612f3696UL, "-0.0000033333333333333333")]
    [InlineData(0x43143ff3c1cb0959UL, "1424953923781206.2")]
    public void Numbers_AreThoseOfEcmaScript(ulong bits, string expected) =>
        Assert.Equal(expected, CanonicalJson.Number(BitConverter.UInt64BitsToDouble(bits)));

    [Fact]
    public void Members_AreSortedAndEscaped()
    {
        var json = JsonNode.Parse(
            """{"\u20ac": "Euro", "\r": 1.50, "1": [true, null, {"b": 1e2, "a": "\u000f\u2028/"}], "\ud83d\ude00": -0}""");
        Assert.Equal("{\"\\r\":1.5,\"1\":[true,null,{\"a\":\"\\u000f\u2028/\",\"b\":100}],\"\u20ac\":\"Euro\",\"\ud83d\ude00\":0}",
            Encoding.UTF8.GetString(CanonicalJson.Write(json)));
    }

    private void Write(int count)
    {
        using var log = new AuditLog(Folder, TimeProvider.System, Often);
        for (var i = 0; i < count; i++)
        {
            log.Append("request", new JsonObject
                { ["id"] = string.Create(CultureInfo.InvariantCulture, $"number {i}"), ["temperature"] = 0.1 * i });
        }
    }

    private LogKey Key() => LogKey.Parse(File.ReadAllText(Path.Combine(Folder, "key.pub")).Trim(), "key.pub");

    public void Dispose() => _temp.Dispose();
}
