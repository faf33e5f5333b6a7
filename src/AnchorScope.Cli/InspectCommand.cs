using System.CommandLine;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Models;
using AnchorScope.Studies;
using Spectre.Console;

namespace AnchorScope.Cli;

/// <summary><c>ascope inspect</c>: prints what a checkpoint contains and whether it is supported.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "folder of the checkpoint" };
        var template = new Option<string?>("--heads-template")
            { Description = "print a head set with these heads instead: all, or layer:head, comma-separated", HelpName = "HEADS" };
        var json = JsonOutput.Option();
        var command =
            new Command("inspect", "Prints a checkpoint's family, sizes, template, image tokens and memory use.") { model, template, json };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(json) && parsed.GetValue(template) is not null)
                throw new InputException("--json: a head set is JSON already; expected --json or --heads-template, found both");
            using var opened = Opening.Model(parsed.GetValue(model)!);
            if (parsed.GetValue(template) is { } heads) Console.Write(HeadSetFile.Text(Named(opened, heads)));
            else if (parsed.GetValue(json)) JsonOutput.Print(Facts(opened));
            else Print(opened);
            return 0;
        });
        return command;
    }

    /// <summary>A head set written by hand: without scores and without data.</summary>
    private static HeadSet Named(VisionLanguageModel model, string heads)
    {
        const string Option = "--heads-template";
        var named = NamedHeads.Parse(Option, heads, model.Engine.Shape).Select(h => new ScoredHead(h.Layer, h.Head, double.NaN)).ToList();
        foreach (var head in named) model.Engine.Shape.Check(head.Layer, head.Head, Option);
        return new HeadSet(model.Checkpoint.Name, model.Checkpoint.Sha256, model.Tokenizer.Sha256, "", HeadSet.ByHand,
            named) { Files = model.Checkpoint.Identity.Files };
    }

    private static object Facts(VisionLanguageModel model) => new
    {
        Folder = Path.GetFullPath(model.Checkpoint.Folder),
        model.Family,
        ModelType = model.Checkpoint.Config.Text("model_type"),
        model.Engine.Shape,
        model.Engine.VocabularySize,
        model.Engine.MaximumPositions,
        Vision = model.VisionSummary,
        model.ImageToken,
        model.Checkpoint.WeightBytes,
        Types = model.Checkpoint.Files.SelectMany(f => f.Tensors.Values).Select(t => t.Type.ToString()).Distinct().Order(),
        Sha256 = model.Checkpoint.Identity.Weights,
        model.Checkpoint.Identity.Files,
        Template = model.HasTemplate ? model.Template.Source : null,
        model.Warnings,
    };

    private static void Print(VisionLanguageModel model)
    {
        var shape = model.Engine.Shape;
        var stored = model.Checkpoint.WeightBytes;
        var types = string.Join(", ", model.Checkpoint.Files.SelectMany(f => f.Tensors.Values).Select(t => t.Type).Distinct().Order());
        var perPosition = 2L * shape.Layers * shape.KeyHeads * shape.HeadSize * sizeof(float);
        // A terminal gets wrapped values in a second column; a file gets one line per value without padding.
        var table = new Table().Border(TableBorder.None).HideHeaders().AddColumn("").AddColumn("");
        void Row(string name, string value)
        {
            if (Console.IsOutputRedirected) Console.WriteLine($"{name,-14}{value}");
            else table.AddRow(new Text(name, new Style(Color.Grey)), new Text(value));
        }
        Row("folder", Path.GetFullPath(model.Checkpoint.Folder));
        Row("family", $"{model.Family} (model_type {model.Checkpoint.Config.Text("model_type")})");
        Row("decoder", $"{Plural.Of(shape.Layers, "layer")}, d_model {shape.ModelSize}, d_mlp {shape.MlpSize}, vocabulary "
            + $"{model.Engine.VocabularySize}");
        Row("heads", $"{shape.Heads} per layer ({shape.KeyHeads} key/value), d_head "
            + $"{shape.HeadSize}; {shape.Layers * shape.Heads} in all, "
            + $"5 % are {HeadRanking.Count(HeadPlan.TestedShare, shape.Layers * shape.Heads, new Definitions().Rounding)}");
        Row("vision", model.VisionSummary);
        Row("image token", model.ImageToken is { } token ? $"{model.Tokenizer.TokenText(token)} (id {token})" : "none");
        Row("stored as", $"{types}, {Amount.Bytes(stored)} in {Plural.Of(model.Checkpoint.Files.Count, "file")}");
        Row("memory", $"{Amount.Bytes(stored)} mapped, {Amount.Bytes(perPosition)} of keys and values per position");
        Row("weights", $"sha256 {model.Checkpoint.Sha256}");
        Row("tokenizer", $"sha256 {model.Tokenizer.Sha256}");
        Row("template", model.HasTemplate ? model.Template.Source.ReplaceLineEndings("\\n") : model.ImageToken is null
            ? "none: --prompt is used as raw text" : "none: it can be run on token ids only (ascope trace --inputs)");
        Row("positions", model.Engine.MaximumPositions is { } longest ? $"at most {longest}" : "no limit named");
        string[] odd = [.. model.Warnings, .. model.Rules.NotApplied(sampling: false)];
        Row("not supported", odd.Length == 0 ? "nothing in this checkpoint: every tensor has its place" : string.Join("; ", odd));
        if (!Console.IsOutputRedirected) AnsiConsole.Write(table);
    }
}
