using System.Runtime.InteropServices;

namespace AnchorScope.Bench;

/// <summary>Debian's OpenBLAS, single precision, as the reference for speed.</summary>
internal static unsafe partial class OpenBlas
{
    public const string Library = "libopenblas.so.0";
    private const int RowMajor = 101, NoTranspose = 111, Transpose = 112;

    /// <summary>
    /// The kernels to request, whatever the environment contains: those for AVX-512, which are also faster than "Zen" and "Haswell" on
    /// processors that have both. Null: OpenBLAS chooses.
    /// </summary>
    public static string? CoreType => System.Runtime.Intrinsics.Vector512.IsHardwareAccelerated
        ? "SkylakeX" : System.Runtime.Intrinsics.X86.Avx2.IsSupported ? "Haswell" : null;

    /// <summary>
    /// Environment variables for loading OpenBLAS, in this process and in torch. Null means that the variable is removed, because other
    /// values would slow OpenBLAS down.
    /// </summary>
    public static IEnumerable<(string Name, string? Value)> Variables => [("OPENBLAS_CORETYPE", CoreType), ("OPENBLAS_L2_SIZE", null)];

    /// <summary>The kernels that OpenBLAS chose, such as "SkylakeX".</summary>
    public static string Core => Marshal.PtrToStringUTF8(CoreName()) ?? "";

    /// <summary>
    /// Must be called before the first product: selects kernels for processors that this version does not know, and one thread.
    /// </summary>
    /// <exception cref="InvalidOperationException">The library is missing, or uses kernels that are much slower than this machine
    /// allows.</exception>
    public static void Start()
    {
        // The library reads the C library's environment when it is loaded, not .NET's copy.
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
    private static partial void Gemm(int order, int transposeA, int transposeB, int m, int n, int k, float alpha, float* a, int lda,
        float* b, int ldb, float beta, float* c, int ldc);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "unsetenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnsetEnvironment(string name);
}
