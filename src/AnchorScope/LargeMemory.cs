using System.Runtime.InteropServices;

namespace AnchorScope;

/// <summary>
/// Native memory for weights and activations, in huge pages if the system has them. Small pages cost one page fault each on first access,
/// and more TLB misses.
/// </summary>
internal static unsafe class LargeMemory
{
    private const nuint Line = 64;
    private const nuint HugePage = 2 << 20;
    private const int AdviseHugePages = 14;

    /// <summary>Allocates uninitialised memory, aligned to at least a cache line.</summary>
    public static void* Take(long bytes)
    {
        var size = (nuint)Math.Max(1, bytes);
        if (!OperatingSystem.IsLinux() || size < 2 * HugePage) return NativeMemory.AlignedAlloc(size, Line);
        var memory = NativeMemory.AlignedAlloc(size, HugePage);
        // Only advice: a system that ignores it provides small pages.
        _ = Advise(memory, size, AdviseHugePages);
        return memory;
    }

    /// <summary>Frees memory allocated by <see cref="Take"/>.</summary>
    public static void Free(void* memory) => NativeMemory.AlignedFree(memory);

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Advise(void* address, nuint length, int advice);
}
