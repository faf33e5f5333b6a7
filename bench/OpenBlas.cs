using System.Runtime.InteropServices;

namespace AnchorScope.Bench;

/// <summary>Debian's OpenBLAS, single precision, as a yardstick.</summary>
internal static unsafe partial class OpenBlas
{
    public const string Library = "libopenblas.so.0";
    private const int RowMajor = 101, NoTranspose = 111, Transpose = 112;

    /// <summary>
    /// The kernels that are asked for, whatever the environment says: those for AVX-512, which are also faster than "Zen" and "Haswell" on processors that have both. Null: its own choice.
    /// </summary>
    public static string? CoreType => System.Runtime.Intrinsics.Vector512.IsHardwareAccelerated ? "SkylakeX" : System.Runtime.Intrinsics.X86.Avx2.IsSupported ? "Haswell" : null;

    /// <summary>The environment in which it is loaded, here and in torch: null where a variable has to go, as others would slow it down.</summary>
    public static IEnumerable<(string Name, string? Value)> Variables => [("OPENBLAS_CORETYPE", CoreType), ("OPENBLAS_L2_SIZE", null)];

    /// <summary>The kernels that OpenBLAS chose, such as "SkylakeX".</summary>
    public static string Core => Marshal.PtrToStringUTF8(CoreName()) ?? "";

    /// <summary>Before the first product: kernels for processors that this version does not know yet, and one thread.</summary>
    /// <exception cref="InvalidOperationException">The library is missing, or fell back to kernels far below the machine.</exception>
    public static void Start()
    {
        // The library reads its environment when it is loaded, from the C library and not from .NET's copy.
        foreach (var (name, value) in Variables) _ = value is null ? UnsetEnvironment(name) : SetEnvironment(name, value, 1);
        Packages.Ensure("/bin/sh", ["-c", $"ldconfig -p | grep -q {Library}"], "libopenblas0-pthread");
        try
        {
            SetThreads(1);
        }
        catch (DllNotFoundException e)
        {
            throw new InvalidOperationException($"{Library} is not there: apt-get install libopenblas0-pthread", e);
        }
        BlasKernels.Check("the yardstick", $"openblas {Core}");
    }

    /// <summary>y [rows, outputs] = x [rows, depth] times w [outputs, depth] transposed.</summary>
    public static void Multiply(float* x, float* w, float* y, int rows, int outputs, int depth) =>
        Gemm(RowMajor, NoTranspose, Transpose, rows, outputs, depth, 1, x, depth, w, depth, 0, y, outputs);

    [LibraryImport(Library, EntryPoint = "openblas_set_num_threads")]
    public static partial void SetThreads(int count);

    [LibraryImport(Library, EntryPoint = "openblas_get_corename")]
    private static partial nint CoreName();

    [LibraryImport(Library, EntryPoint = "cblas_sgemm")]
    private static partial void Gemm(int order, int transposeA, int transposeB, int m, int n, int k, float alpha, float* a, int lda, float* b, int ldb, float beta, float* c, int ldc);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "unsetenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnsetEnvironment(string name);
}
