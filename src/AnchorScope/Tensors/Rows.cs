namespace AnchorScope.Tensors;

/// <summary>Work on one row, independent of all others. A struct, so that distributing it allocates nothing on the managed heap.</summary>
internal interface IRowWork
{
    /// <param name="row">Index of the row.</param>
    void Do(int row);
}

/// <summary>Distributes rows to the threads of a team, so that element-wise work between matrix products is parallel too.</summary>
internal static class Rows
{
    private const int RowsPerChunk = 8;

    /// <summary>Runs <paramref name="work"/> for each of <paramref name="rows"/> rows, in no particular order.</summary>
    /// <param name="cost">Floating-point operations per row.</param>
    public static void Each<TWork>(Compute compute, int rows, long cost, TWork work)
        where TWork : struct, IRowWork =>
        compute.Team.For((rows + RowsPerChunk - 1) / RowsPerChunk, cost * RowsPerChunk, new Some<TWork>(work, rows));

    /// <summary>Adds <paramref name="added"/> to <paramref name="sum"/>, of the same shape, element by element.</summary>
    public static void Add(Compute compute, Tensor sum, Tensor added)
    {
        if (added.Rows != sum.Rows || added.Columns != sum.Columns)
            throw new ArgumentException($"cannot add [{added.Rows}, {added.Columns}] to [{sum.Rows}, {sum.Columns}]", nameof(added));
        Each(compute, sum.Rows, 4L * sum.Columns, new Sum(sum, added));
    }

    private readonly struct Some<TWork>(TWork work, int rows) : ITeamWork
        where TWork : struct, IRowWork
    {
        public void Do(int chunk, int member)
        {
            for (var row = chunk * RowsPerChunk; row < Math.Min(rows, (chunk + 1) * RowsPerChunk); row++) work.Do(row);
        }
    }

    private readonly struct Sum(Tensor sum, Tensor added) : IRowWork
    {
        public void Do(int row) => System.Numerics.Tensors.TensorPrimitives.Add(sum[row], added[row], sum[row]);
    }
}
