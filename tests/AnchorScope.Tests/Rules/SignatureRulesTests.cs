using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using AnchorScope.Cli;
using AnchorScope.Server.Scheduling;
using AnchorScope.Studies;

namespace AnchorScope.Tests.Rules;

/// <summary>Rules for signatures. Each states its reason.</summary>
public sealed partial class SignatureRulesTests
{
    private const int MostParameters = 7;

    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>
    /// Arguments without names are told apart by their order, and two of the same type that change places compile. Kernels are exempt: in
    /// an inner loop, parameters are registers.
    /// </summary>
    [Fact]
    public void NothingTakesMoreParametersThanAReaderCounts() => SourceRulesTests.Empty(
        from assembly in new[] { typeof(Sweep).Assembly, typeof(CommandLine).Assembly, typeof(Scheduler).Assembly,
            typeof(AnchorScope.Extensions.AI.AnchorScopeChatClient).Assembly, typeof(Llama2c.Conversion).Assembly }
        from type in assembly.GetTypes()
        where type.Namespace != "AnchorScope.Tensors"
        from method in Methods(type)
        let count = method.GetParameters().Count(p => !IsClosure(p.ParameterType))
        where count > MostParameters
        select $"{type.FullName}: {Name(method)} takes {count} parameters: give them names, as required members of a record");

    /// <summary>Methods and constructors as they are written: of delegates the call, of closures the local functions.</summary>
    private static IEnumerable<MethodBase> Methods(Type type)
    {
        if (typeof(Delegate).IsAssignableFrom(type)) return type.GetMethods(Declared).Where(m => m.Name == "Invoke");
        var methods = type.GetMethods(Declared).Where(m => m.Name[0] != '<' || m.Name.Contains(">g__", StringComparison.Ordinal));
        return IsGenerated(type) ? methods.Where(m => m.Name[0] == '<') : methods.Concat<MethodBase>(type.GetConstructors(Declared));
    }

    private static bool IsGenerated(Type type) => type.IsDefined(typeof(CompilerGeneratedAttribute), inherit: false);

    /// <summary>Whether a parameter holds what a local function uses of the method around it.</summary>
    private static bool IsClosure(Type type) => type.IsByRef && IsGenerated(type.GetElementType()!);

    private static string Name(MethodBase method) => LocalFunction().Replace(method.Name, "${outer}.${name}");

    [GeneratedRegex(@"^<(?<outer>.*)>g__(?<name>\w+)\|.*$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex LocalFunction();
}
