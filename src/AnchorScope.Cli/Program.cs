using System.CommandLine;
using AnchorScope.Cli;

var root = new RootCommand("AnchorScope: which modality a vision-language model follows, where that is decided, and which heads decide it.")
{
    AdjudicateCommand.Create(),
    AuditCommand.Create(),
    BakeCommand.Create(),
    DataCommand.Create(),
    DiagnoseCommand.Create(),
    SteerCommand.Create(),
    ImportCommand.Create(),
    InspectCommand.Create(),
    KeysCommand.Create(),
    ManifestCommand.Create(),
    ParityCommand.Create(),
    PolicyCommand.Create(),
    ProfileCommand.Create(),
    BakeCommand.CreateSuppress(),
    ServeCommand.Create(),
    SweepCommand.Create(),
    SynthCommand.Create(),
    TokenizeCommand.Create(),
    TraceCommand.Create(),
    TrainCommand.Create(),
    TuneCommand.Create(),
    VerifyBakedCommand.Create(),
    WireCommand.Create(),
};
return CommandLine.Run(root, args);
