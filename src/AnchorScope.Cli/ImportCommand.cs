using AnchorScope.Checkpoints;
using System.CommandLine;
using AnchorScope.Conflicts;

namespace AnchorScope.Cli;

/// <summary><c>ascope import mc2</c>: converts published conflicts into a conflict set.</summary>
internal static class ImportCommand
{
    private const int Shown = 10;

    public static Command Create()
    {
        var files = new Argument<string[]>("FILE")
            { Description = "JSON file of MC2, or of the text- and vision-following sets", Arity = new ArgumentArity(1, 2) };
        var images = new Option<string>("--images") { Description = "folder of the COCO 2014 pictures", HelpName = "DIR", Required = true };
        var output = new Option<string>("--out") { Description = "folder to write", HelpName = "DIR", Required = true };
        var question =
            new Option<int>("--question") { Description = "form of the question: 1, 2 or 3", DefaultValueFactory = _ => 1, HelpName = "N" };
        var copy = new Option<bool>("--copy-images") { Description = "copy the pictures into the output folder, so that it can be moved" };
        var mc2 = new Command("mc2", "Converts MC2 (arXiv 2505.20977) and sets derived from it.") { files, images, output, question, copy };
        mc2.SetAction(parsed =>
        {
            var folder = parsed.GetValue(output)!;
            var target = Path.Combine(folder, "conflicts.jsonl");
            OutputPath.CheckFolder(folder);
            var importer = new Mc2Importer(parsed.GetValue(images)!, parsed.GetValue(question));
            foreach (var file in parsed.GetValue(files)!) importer.Read(file);
            foreach (var left in importer.Rejected.Take(Shown))
                Console.WriteLine($"left out {left.File} item {left.Line} {left.Id}: {left.Reason}");
            if (importer.Rejected.Count > Shown) Console.WriteLine($"left out {importer.Rejected.Count - Shown} more");
            if (importer.Samples.Count == 0)
                throw new InputException(
                    $"{parsed.GetValue(files)![0]}: no usable item; item {importer.Rejected[0].Line}: {importer.Rejected[0].Reason}");
            Write(folder, target, importer.Samples, parsed.GetValue(copy));
            Console.WriteLine($"{target}: {Plural.Of(importer.Samples.Count, "conflict")}, {importer.Rejected.Count} left out");
            return importer.Rejected.Count > 0 ? CommandLine.SomeLeftOut : 0;
        });
        return new Command("import", "Converts published conflict data into a conflict set.") { mc2 };
    }

    /// <summary>Writes the set last: a folder that contains conflicts.jsonl is complete.</summary>
    private static void Write(string folder, string target, IReadOnlyList<ConflictSample> samples, bool copy)
    {
        try
        {
            Directory.CreateDirectory(folder);
            if (copy)
            {
                var pictures = Directory.CreateDirectory(Path.Combine(folder, "images")).FullName;
                foreach (var picture in samples.Select(s => s.Image!).Distinct())
                {
                    var copied = Path.Combine(pictures, Path.GetFileName(picture));
                    if (copied != picture) File.Copy(picture, copied, overwrite: true);
                }
                samples = [.. samples.Select(s => s with { Image = Path.Combine(pictures, Path.GetFileName(s.Image!)) })];
            }
            File.WriteAllText(Path.Combine(folder, "prompt.json"), $"{{\"layout\": \"{PromptLayout.Mc2.Name}\"}}\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: cannot be written: {FileError.Reason(e)}", e);
        }
        ConflictSet.Save(target, samples);
    }
}
