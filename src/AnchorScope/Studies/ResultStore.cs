using AnchorScope.Checkpoints;
using System.Globalization;
using System.Text.Json;

namespace AnchorScope.Studies;

/// <summary>The result of one run under one condition, at the last position.</summary>
/// <param name="Following">Logit of y_p, the instructed modality's answer.</param>
/// <param name="Competing">Logit of y_c, the other modality's answer.</param>
/// <param name="LogSum">Log of the sum of exp(logit) over the vocabulary; logit - LogSum is a log-probability.</param>
/// <param name="ArgMax">Token with the largest logit.</param>
/// <param name="Divergence">KL(P || P_condition) over the whole vocabulary, in nats.</param>
internal readonly record struct Outcome(float Following, float Competing, float LogSum, int ArgMax, float Divergence)
{
    /// <summary>logit(y_p) - logit(y_c).</summary>
    public float Margin => Following - Competing;

    /// <summary>Under an interchange: logit of the donor run's likeliest token; otherwise NaN.</summary>
    public float Donor { get; init; } = float.NaN;
}

/// <summary>All measurements of one run (a sample with one of its instructions).</summary>
/// <param name="Run">Id, for instance "test-0000/vision".</param>
/// <param name="YP">Token y_p.</param>
/// <param name="YC">Token y_c; equal to <paramref name="YP"/> if there is no conflict.</param>
internal sealed record RunResult(string Run, int YP, int YC)
{
    /// <summary>The text that the model generates without intervention.</summary>
    public string Answer { get; init; } = "";

    /// <summary>Outcome by condition; always contains "baseline".</summary>
    public Dictionary<string, Outcome> Outcomes { get; init; } = new(StringComparer.Ordinal);

    /// <summary>By factor of an interchange: the sample that the donor's replaced parts come from.</summary>
    public Dictionary<string, string> Donors { get; init; } = new(StringComparer.Ordinal);

    /// <summary>Per-layer or per-head readouts by name.</summary>
    public Dictionary<string, float[]> Curves { get; init; } = new(StringComparer.Ordinal);
}

/// <summary>
/// results.jsonl: one row per run and condition, appended sample by sample. After an interruption, the file is read up to the last complete
/// sample and truncated there.
/// </summary>
internal sealed class ResultStore : IDisposable
{
    private readonly FileStream _file;
    private readonly Dictionary<(string Set, string Sample), List<RunResult>> _samples = [];
    private readonly MemoryStream _buffer = new();

    private readonly IDisposable? _held;

    private ResultStore(FileStream file, IDisposable? held) => (_file, _held) = (file, held);

    /// <summary>
    /// Opens <paramref name="path"/>. With <paramref name="resume"/> complete samples are kept; otherwise the file is emptied.
    /// </summary>
    /// <param name="held">Disposed of with the store.</param>
    public static ResultStore Open(string path, bool resume, IDisposable? held = null)
    {
        try
        {
            var store = new ResultStore(
                new FileStream(path, resume ? FileMode.OpenOrCreate : FileMode.Create, FileAccess.ReadWrite, FileShare.Read), held);
            if (resume) store.ReadBack(path);
            return store;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be written: {FileError.Reason(e)}", e);
        }
    }

    /// <summary>Number of complete samples.</summary>
    public int Samples => _samples.Count;

    /// <summary>The runs of a complete sample, or null.</summary>
    public IReadOnlyList<RunResult>? Find(string set, string sample) => _samples.GetValueOrDefault((set, sample));

    /// <summary>Writes the rows of one sample, followed by a row that marks it complete.</summary>
    public void Append(string set, string sample, IReadOnlyList<RunResult> runs)
    {
        _buffer.SetLength(0);
        foreach (var run in runs) Write(set, run);
        WriteRow(writer =>
        {
            writer.WriteString("set", set);
            writer.WriteString("sample", sample);
            writer.WriteBoolean("complete", true);
        });
        _file.Write(_buffer.GetBuffer(), 0, (int)_buffer.Length);
        _file.Flush();
        _samples[(set, sample)] = [.. runs];
    }

    private void Write(string set, RunResult run)
    {
        WriteRow(writer =>
        {
            writer.WriteString("set", set);
            writer.WriteString("run", run.Run);
            writer.WriteNumber("yp", run.YP);
            writer.WriteNumber("yc", run.YC);
            writer.WriteString("answer", run.Answer);
        });
        foreach (var (condition, outcome) in run.Outcomes)
        {
            WriteRow(writer =>
            {
                writer.WriteString("set", set);
                writer.WriteString("run", run.Run);
                writer.WriteString("condition", condition);
                writer.WriteNumber("logit_yp", outcome.Following);
                writer.WriteNumber("logit_yc", outcome.Competing);
                writer.WriteNumber("log_sum", outcome.LogSum);
                writer.WriteNumber("argmax", outcome.ArgMax);
                writer.WriteNumber("kl", outcome.Divergence);
                if (!float.IsNaN(outcome.Donor)) writer.WriteNumber("logit_donor", outcome.Donor);
            });
        }
        foreach (var (factor, from) in run.Donors)
        {
            WriteRow(writer =>
            {
                writer.WriteString("set", set);
                writer.WriteString("run", run.Run);
                writer.WriteString("donor", factor);
                writer.WriteString("from", from);
            });
        }
        foreach (var (name, values) in run.Curves)
        {
            WriteRow(writer =>
            {
                writer.WriteString("set", set);
                writer.WriteString("run", run.Run);
                writer.WriteString("curve", name);
                writer.WriteStartArray("values");
                foreach (var value in values) writer.WriteNumberValue(value);
                writer.WriteEndArray();
            });
        }
    }

    private void WriteRow(Action<Utf8JsonWriter> fields)
    {
        using (var writer = new Utf8JsonWriter(_buffer,
            new JsonWriterOptions
                { SkipValidation = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            fields(writer);
            writer.WriteEndObject();
        }
        _buffer.WriteByte((byte)'\n');
    }

    private void ReadBack(string path)
    {
        var runs = new Dictionary<string, RunResult>(StringComparer.Ordinal);
        var (line, keep, position, number) = (new List<byte>(256), 0L, 0L, 0);
        using var reader = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1 << 20);
        for (var next = reader.ReadByte(); next >= 0; next = reader.ReadByte())
        {
            position++;
            if (next != '\n')
            {
                line.Add((byte)next);
                continue;
            }
            number++;
            try
            {
                using var json = JsonDocument.Parse(line.ToArray());
                if (Take(json.RootElement, runs)) keep = position;
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new InputException($"{path}: line {number.ToString(CultureInfo.InvariantCulture)}: not a row of results "
                    + $"({(e is JsonException json ? JsonText.Reason(json) : e.Message)}); start again in another folder", e);
            }
            line.Clear();
        }
        _file.SetLength(keep);
        _file.Position = keep;
    }

    private bool Take(JsonElement row, Dictionary<string, RunResult> runs)
    {
        var set = row.GetProperty("set").GetString()!;
        if (row.TryGetProperty("sample", out var sample))
        {
            _samples[(set, sample.GetString()!)] = [.. runs.Values];
            runs.Clear();
            return true;
        }
        var id = row.GetProperty("run").GetString()!;
        if (row.TryGetProperty("condition", out var condition))
        {
            runs[id].Outcomes[condition.GetString()!] = new Outcome(
                row.GetProperty("logit_yp").GetSingle(), row.GetProperty("logit_yc").GetSingle(), row.GetProperty("log_sum").GetSingle(),
                row.GetProperty("argmax").GetInt32(), row.GetProperty("kl").GetSingle())
            {
                Donor = row.TryGetProperty("logit_donor", out var donor) ? donor.GetSingle() : float.NaN,
            };
        }
        else if (row.TryGetProperty("donor", out var factor))
        {
            runs[id].Donors[factor.GetString()!] = row.GetProperty("from").GetString()!;
        }
        else if (row.TryGetProperty("curve", out var curve))
        {
            runs[id].Curves[curve.GetString()!] = [.. row.GetProperty("values").EnumerateArray().Select(v => v.GetSingle())];
        }
        else
        {
            runs[id] = new RunResult(id, row.GetProperty("yp").GetInt32(),
                row.GetProperty("yc").GetInt32()) { Answer = row.GetProperty("answer").GetString()! };
        }
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        _buffer.Dispose();
        _held?.Dispose();
    }
}
