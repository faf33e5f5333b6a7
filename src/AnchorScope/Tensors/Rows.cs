namespace AnchorScope.Tensors;

/// <summary>What is done with one row, whatever becomes of the others. A struct, so that handing it out costs the garbage collector nothing.</summary>
internal interface IRowWork
{
    /// <param name="row">Which row.</param>
    void Do(int row);
}

/// <summary>Rows shared out to the threads of a team: what lies between the products must not keep all but one of them waiting.</summary>
internal static class Rows
{
    private const int Together = 8;

    /// <summary>Does <paramref name="work"/> for each of <paramref name="rows"/> rows, in no order.</summary>
    /// <param name="cost">Of a row, in floating-point operations.</param>
    public static void Each<TWork>(Compute compute, int rows, long cost, TWork work)
        where TWork : struct, IRowWork => compute.Team.For((rows + Together - 1) / Together, cost * Together, new Some<TWork>(work, rows));

    /// <summary>Adds <paramref name="added"/> to <paramref name="sum"/>, of the same shape, element by element.</summary>
    public static void Add(Compute compute, Tensor sum, Tensor added)
    {
        if (added.Rows != sum.Rows || added.Columns != sum.Columns) throw new ArgumentException($"cannot add [{added.Rows}, {added.Columns}] to [{sum.Rows}, {sum.Columns}]", nameof(added));
        Each(compute, sum.Rows, 4L * sum.Columns, new Sum(sum, added));
    }

    private readonly struct Some<TWork>(TWork work, int rows) : ITeamWork
        where TWork : struct, IRowWork
    {
        public void Do(int chunk, int member)
        {
            for (var row = chunk * Together; row < Math.Min(rows, (chunk + 1) * Together); row++) work.Do(row);
        }
    }

    private readonly struct Sum(Tensor sum, Tensor added) : IRowWork
    {
        public void Do(int row) => System.Numerics.Tensors.TensorPrimitives.Add(sum[row], added[row], sum[row]);
    }
}
