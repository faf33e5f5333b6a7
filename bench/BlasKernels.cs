namespace AnchorScope.Bench;

/// <summary>Identifies the matrix library of a peer by its own description: "openblas SkylakeX", "mkl", "reference".</summary>
internal static class BlasKernels
{
    /// <summary>
    /// Names that OpenBLAS uses for processors it does not know: its kernels then reach a fraction of the machine's speed.
    /// </summary>
    private static readonly string[] Fallbacks = ["Prescott", "Core2", "Generic", "unknown", ""];

    /// <summary>Refuses a library that would make the comparison unfairly favourable to us.</summary>
    /// <returns>The description.</returns>
    /// <exception cref="InvalidOperationException">Debian's reference BLAS (thirty times slower), kernels much slower than this machine
    /// allows, or an unknown library.</exception>
    public static string Check(string peer, string blas)
    {
        var parts = blas.Split(' ', 2);
        var fine = parts[0] == "mkl" || (parts[0] == "openblas" && !Fallbacks.Contains(parts.Length > 1 ? parts[1] : ""));
        return fine ? blas : throw new InvalidOperationException(
            $"{peer} multiplies with '{blas}', and a comparison with that would flatter us: apt-get install libopenblas0-pthread, "
                + "and OPENBLAS_CORETYPE as bench/OpenBlas.cs sets it");
    }
}
