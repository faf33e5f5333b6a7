using System.CommandLine;
using AnchorScope.Server.Integrity;

namespace AnchorScope.Cli;

/// <summary><c>ascope manifest</c>: signs the files of a checkpoint, and holds them to it.</summary>
internal static class ManifestCommand
{
    private static readonly Argument<string> Folder = new("DIR") { Description = "folder of the checkpoint" };

    public static Command Create() =>
        new("manifest", "Lists, signs and verifies the files of a checkpoint, as the OpenSSF's model signing.")
            { MakeKey(), Make(), Sign(), Verify() };

    private static Command MakeKey()
    {
        var folder = new Argument<string>("DIR") { Description = "folder that gets manifest.key, which signs, and manifest.pub" };
        var command = new Command("key", "Makes an ECDSA key (P-256, PEM) for signing manifests.") { folder };
        command.SetAction(parsed =>
        {
            ManifestSignature.MakeKey(parsed.GetValue(folder)!);
            Console.WriteLine(Path.Combine(parsed.GetValue(folder)!, "manifest.pub"));
            return 0;
        });
        return command;
    }

    private static Command Make()
    {
        var command = new Command("make", "Prints what would be signed: an in-toto statement with SHA-256 of every file.") { Folder };
        command.SetAction(parsed =>
        {
            Console.WriteLine(AuditCommand.Readable(Manifest.Of(parsed.GetValue(Folder)!, without: null).Statement()));
            return 0;
        });
        return command;
    }

    private static Command Sign()
    {
        var key = new Option<string>("--key") { Description = "the key that signs, in PEM", HelpName = "FILE", Required = true };
        var output = new Option<string>("--out") { Description = "file to write", HelpName = "FILE", Required = true };
        var force = OutputPath.Force();
        var command = new Command("sign", "Signs SHA-256 of every file.") { Folder, key, output, force };
        command.SetAction(parsed =>
        {
            var path = parsed.GetValue(output)!;
            OutputPath.CheckFile(path, parsed.GetValue(force), parsed.GetValue(key));
            using var signs = ManifestSignature.Key(parsed.GetValue(key)!);
            var manifest = Manifest.Of(parsed.GetValue(Folder)!, path);
            File.WriteAllText(path, AuditCommand.Readable(ManifestSignature.Sign(manifest, signs)) + "\n");
            Console.WriteLine($"{path}: {Plural.Of(manifest.Files.Count, "file")}");
            return 0;
        });
        return command;
    }

    private static Command Verify()
    {
        var manifest = new Option<string>("--manifest") { Description = "the signed manifest", HelpName = "FILE", Required = true };
        var key = new Option<string>("--key") { Description = "the public key, in PEM", HelpName = "FILE", Required = true };
        var command = new Command("verify", "Checks the signature and every file; exit code 1 and each that is not as it was signed.")
            { Folder, manifest, key };
        command.SetAction(async (parsed, _) =>
        {
            var folder = parsed.GetValue(Folder)!;
            using var signs = ManifestSignature.Key(parsed.GetValue(key)!);
            var signed = ManifestSignature.Verify(parsed.GetValue(manifest)!, signs);
            if (!Directory.Exists(folder)) throw InputException.At(folder, "folder", "a checkpoint", "nothing");
            var wrong = 0;
            await foreach (var difference in signed.Differences(folder, path => Task.FromResult(Checkpoints.Digest.OfFile(path))))
            {
                Console.WriteLine($"{difference.What}: {difference.Name}");
                wrong++;
            }
            if (wrong == 0) Console.WriteLine($"as signed: {Plural.Of(signed.Files.Count, "file")}");
            return wrong == 0 ? 0 : 1;
        });
        return command;
    }
}
