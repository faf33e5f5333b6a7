using System.CommandLine;
using AnchorScope.Cli;

var root = new RootCommand("AnchorScope: which modality a vision-language model follows, where that is decided, and which heads decide it.")
{
    DataCommand.Create(),
    DiagnoseCommand.Create(),
    InspectCommand.Create(),
    ImportCommand.Create(),
    ParityCommand.Create(),
    SweepCommand.Create(),
    SynthCommand.Create(),
    TokenizeCommand.Create(),
    TrainCommand.Create(),
    TraceCommand.Create(),
};
return CommandLine.Run(root, args);
