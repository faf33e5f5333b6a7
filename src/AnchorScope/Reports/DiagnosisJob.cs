using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>What a diagnosis found, and how sure it is.</summary>
/// <param name="Status">"found", "absent" or "unclear".</param>
/// <param name="Sentence">What is claimed, with its numbers, or why nothing is.</param>
public sealed record DiagnosisFinding(string Status, string Sentence);

/// <summary>The main job as one call: which modality a model follows, where that is decided, which heads decide.</summary>
public static class DiagnosisJob
{
    /// <summary>
    /// Runs a diagnosis into <paramref name="folder"/>: rows, tables, head sets, report. A run that was stopped goes on where it was.
    /// </summary>
    /// <param name="options">Model, data, definitions.</param>
    /// <param name="folder">New, empty, or that of a run with the same inputs and options.</param>
    /// <param name="progress">Called with the phase, samples that are done, and samples in all.</param>
    /// <returns>The four sentences of the report.</returns>
    /// <exception cref="InputException">An input is wrong, or the folder is that of another run.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; what was computed is kept.</exception>
    public static IReadOnlyList<DiagnosisFinding> Run(
        DiagnosisOptions options, string folder, Action<string, int, int>? progress = null, CancellationToken cancel = default)
    {
        using var study = new DiagnosisStudy(options);
        using var store = DiagnosisFolder.Open(folder, study.Identity, resume: DiagnosisFolder.IsBegun(folder));
        var diagnosis = Complete(study, store, folder, step => progress?.Invoke(step.Phase, step.Done, step.Of), cancel);
        return [.. diagnosis.Findings.Select(f => new DiagnosisFinding(EnumName.Of(f.Status), f.Text))];
    }

    /// <summary>Runs what the store lacks, reads its rows, and writes everything but them.</summary>
    internal static Diagnosis Complete(DiagnosisStudy study, ResultStore store, string folder, Action<StudyProgress>? progress,
        CancellationToken cancel)
    {
        var plan = study.Run(store, progress, cancel);
        var diagnosis = study.Reduce(store, plan);
        DiagnosisFiles.Write(folder, diagnosis, study.Arbiters(diagnosis.Interchange), study.Necessary(store, plan));
        DiagnosisReport.Write(folder, diagnosis, study.Data.Folder);
        return diagnosis;
    }
}
