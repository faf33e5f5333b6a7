using System.Runtime.InteropServices;

namespace AnchorScope;

/// <summary>Native memory for weights and activations, in huge pages where the system has them: what is first touched page by page costs a fault for each, and small pages miss in the tables of addresses.</summary>
internal static unsafe class LargeMemory
{
    private const nuint Line = 64;
    private const nuint HugePage = 2 << 20;
    private const int AdviseHugePages = 14;

    /// <summary>Takes uninitialised memory, aligned to a cache line at least.</summary>
    public static void* Take(long bytes)
    {
        var size = (nuint)Math.Max(1, bytes);
        if (!OperatingSystem.IsLinux() || size < 2 * HugePage) return NativeMemory.AlignedAlloc(size, Line);
        var memory = NativeMemory.AlignedAlloc(size, HugePage);
        // Advice only: a system that does not take it gives small pages.
        _ = Advise(memory, size, AdviseHugePages);
        return memory;
    }

    /// <summary>Gives back what <see cref="Take"/> gave.</summary>
    public static void Free(void* memory) => NativeMemory.AlignedFree(memory);

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Advise(void* address, nuint length, int advice);
}
