namespace AnchorScope.Bench;

/// <summary>Which matrix library a peer runs on, as it says itself: "openblas SkylakeX", "mkl", "reference".</summary>
internal static class BlasKernels
{
    /// <summary>OpenBLAS's names for processors that it does not know: kernels at a fraction of the machine's speed.</summary>
    private static readonly string[] Fallbacks = ["Prescott", "Core2", "Generic", "unknown", ""];

    /// <summary>Refuses one that would flatter us.</summary>
    /// <returns>What was said.</returns>
    /// <exception cref="InvalidOperationException">Debian's reference BLAS (thirty times slower), kernels far below the machine, or nothing that is known.</exception>
    public static string Check(string peer, string blas)
    {
        var parts = blas.Split(' ', 2);
        var fine = parts[0] == "mkl" || (parts[0] == "openblas" && !Fallbacks.Contains(parts.Length > 1 ? parts[1] : ""));
        return fine ? blas : throw new InvalidOperationException(
            $"{peer} multiplies with '{blas}', and a comparison with that would flatter us: apt-get install libopenblas0-pthread, and OPENBLAS_CORETYPE as bench/OpenBlas.cs sets it");
    }
}
