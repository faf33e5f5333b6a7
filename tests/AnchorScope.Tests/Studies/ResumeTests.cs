using AnchorScope.Metrics;
using AnchorScope.Studies;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Studies;

/// <summary>A killed diagnosis resumes from its finished samples and gives the bytes of an uninterrupted one.</summary>
public sealed class ResumeTests : IDisposable
{
    private static readonly DiagnosisOptions Small =
        new() { Model = Fixtures.Organism, Data = Fixtures.Conflicts, Limit = 4, Draws = 2, Windows = [1, 3], Threads = 1 };

    private readonly TempFolder _temp = new();

    [Theory]
    [InlineData(HeadScreen.Exact)]
    [InlineData(HeadScreen.Gradient)]
    public void ResumedRunHasTheBytesOfAnUninterruptedOne(HeadScreen screen)
    {
        var options = Small with { Variants = new Definitions { Screen = screen } };
        var (whole, rows, report) = Run("whole", options, resume: false);
        var random = new Random(7);
        for (var cut = 0; cut < 6; cut++)
        {
            // Cut anywhere, in the middle of a row as a kill does; the first cut leaves nothing at all.
            var folder = $"cut{cut}";
            var kept = cut == 0 ? 0 : random.Next(rows.Length);
            Directory.CreateDirectory(_temp.File(folder));
            File.Copy(Path.Combine(whole, "manifest.json"), Path.Combine(_temp.File(folder), "manifest.json"));
            File.WriteAllBytes(DiagnosisFolder.Results(_temp.File(folder)), rows[..kept]);
            var resumed = Run(folder, options, resume: true);
            Assert.Equal(rows, resumed.Rows);
            Assert.Equal(report, resumed.Report);
        }
    }

    [Fact]
    public void ThreadsChangeNothing() =>
        Assert.Equal(Run("one", Small, resume: false).Rows, Run("three", Small with { Threads = 3 }, resume: false).Rows);

    [Fact]
    public void CancelledRunResumes()
    {
        var (_, rows, _) = Run("uncancelled", Small, resume: false);
        using var study = new DiagnosisStudy(Small);
        using (var store = DiagnosisFolder.Open(_temp.File("cancelled"), study.Identity, resume: false))
        {
            using var cancel = new CancellationTokenSource();
            Assert.ThrowsAny<OperationCanceledException>(() => study.Run(store, step =>
            {
                if (step.Phase == "test" && step.Done == 2) cancel.Cancel();
            }, cancel.Token));
            Assert.Equal(10, store.Samples);
        }
        Assert.Equal(rows, Run("cancelled", Small, resume: true).Rows);
    }

    [Fact]
    public void OtherSettingsAreRefused()
    {
        Run("seed0", Small, resume: false);
        var error = Assert.Throws<InputException>(() => Run("seed0", Small with { Seed = 1 }, resume: true));
        Assert.Contains("manifest.json: belongs to another run: made with --seed 0, now with --seed 1; name another folder", error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void AFolderInUseIsNeverOverwritten()
    {
        Run("mine", Small, resume: false);
        var error = Assert.Throws<InputException>(() => Run("mine", Small, resume: false));
        Assert.Contains("expected a new or empty folder, found one with files in it", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NothingToResumeIsAnError() =>
        Assert.Contains("nothing to resume", Assert.Throws<InputException>(() => Run("nowhere", Small, resume: true)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void DamagedRowsAreNamedByLine()
    {
        var (folder, rows, _) = Run("damaged", Small, resume: false);
        rows[rows.AsSpan().IndexOf((byte)'\n') + 2] = (byte)'}';
        File.WriteAllBytes(DiagnosisFolder.Results(folder), rows);
        Assert.Contains("results.jsonl: line 2: not a row of results",
            Assert.Throws<InputException>(() => Run("damaged", Small, resume: true)).Message, StringComparison.Ordinal);
    }

    private (string Folder, byte[] Rows, string Report) Run(string name, DiagnosisOptions options, bool resume)
    {
        var folder = _temp.File(name);
        using var study = new DiagnosisStudy(options);
        using (var store = DiagnosisFolder.Open(folder, study.Identity, resume))
        {
            var plan = study.Run(store);
            var found = study.Reduce(store, plan);
            DiagnosisFiles.Write(folder, found, study.Arbiters(found.Interchange), study.Necessary(store, plan));
        }
        return (folder, File.ReadAllBytes(DiagnosisFolder.Results(folder)), File.ReadAllText(Path.Combine(folder, "diagnosis.json")));
    }

    public void Dispose() => _temp.Dispose();
}
