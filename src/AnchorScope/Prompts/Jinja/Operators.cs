namespace AnchorScope.Prompts.Jinja;

/// <summary>Arithmetic, indexing and slicing by Python's rules.</summary>
internal static class Operators
{
    public static object? Apply(Site site, string operation, object? left, object? right, Budget budget)
    {
        if (operation == "~")
            return Join(site, Values.ToText(site, left), Values.ToText(site, right), budget);
        if (operation == "+" && left is SourcedText a && right is SourcedText b)
            return Join(site, a, b, budget);
        if (operation == "+" && left is IReadOnlyList<object?> first && right is IReadOnlyList<object?> second
            && left is PythonTuple == right is PythonTuple
            && left is not PythonRange && right is not PythonRange)
        {
            budget.Spend(site, Budget.ElementWork * (first.Count + (long)second.Count));
            return left is PythonTuple ? new PythonTuple([.. first, .. second]) : (List<object?>)[.. first, .. second];
        }
        if (operation == "*" && Values.IsInteger(right) && left is SourcedText or IReadOnlyList<object?> and not PythonRange)
            return Repeat(site, left, Values.AsInteger(right!), budget);
        if (operation == "*" && Values.IsInteger(left) && right is SourcedText or IReadOnlyList<object?> and not PythonRange)
            return Repeat(site, right, Values.AsInteger(left!), budget);
        if (!Values.IsNumber(left) || !Values.IsNumber(right))
            throw site.Fail($"'{operation}' is not supported between {Values.Describe(left)} and {Values.Describe(right)}");
        if (operation == "**") return Power(site, left!, right!);
        return left is double || right is double || operation == "/"
            ? Real(site, operation, Values.AsDouble(left!), Values.AsDouble(right!))
            : Whole(site, operation, Values.AsInteger(left!), Values.AsInteger(right!));
    }

    // An integer to a negative power is a fraction, and a negative number to a fractional power has no real result.
    private static object Power(Site site, object left, object right)
    {
        if (Values.IsInteger(left) && Values.IsInteger(right) && Values.AsInteger(right) >= 0)
        {
            var (factor, times) = (Values.AsInteger(left), Values.AsInteger(right));
            if (factor is 0 or 1) return times == 0 ? 1L : factor;
            if (factor == -1) return times % 2 == 0 ? 1L : -1L;
            if (times > 63) throw site.Fail("the result of '**' is outside 64 bits");
            var result = System.Numerics.BigInteger.Pow(factor, (int)times);
            return result >= long.MinValue && result <= long.MaxValue ? (long)result
                : throw site.Fail("the result of '**' is outside 64 bits");
        }
        var (number, exponent) = (Values.AsDouble(left), Values.AsDouble(right));
        if (number == 0 && exponent < 0) throw site.Fail("division by zero");
        if (number < 0 && Math.Floor(exponent) != exponent) throw site.Fail("the result of '**' is no real number");
        return Math.Pow(number, exponent);
    }

    public static object Negate(Site site, object? value) => value switch
    {
        double number => -number,
        _ when Values.IsInteger(value) => (object)-Values.AsInteger(value!),
        _ => throw site.Fail($"{Values.Describe(value)} has no negative"),
    };

    /// <summary>An element; undefined if there is none.</summary>
    public static object? Index(Site site, object? target, object? index)
    {
        switch (target)
        {
            case Undefined undefined:
                throw site.Fail(undefined.Message);
            case Mapping mapping:
                return index is SourcedText key && mapping.TryGetValue(key.Text, out var value) ? value : Missing();
            case Namespace space when index is SourcedText name:
                return space.Members.TryGetValue(name.Text, out var member) ? member : Missing();
            case Loop loop when index is SourcedText name:
                return loop.Member(name.Text);
            case Callable callable when index is SourcedText name:
                return name.Text == "name" ? new SourcedText(callable.Name)
                    : throw site.Fail($"the member '{name.Text}' of a function is not supported");
            case PythonTuple { IsGroup: true } group when index is SourcedText { Text: "grouper" or "list" } name:
                return group[name.Text == "grouper" ? 0 : 1];
            case SourcedText or IReadOnlyList<object?> when Values.IsInteger(index):
                var count = Values.Length(site, target);
                var at = Values.AsInteger(index!);
                if (at < 0) at += count;
                if (at < 0 || at >= count) return Missing();
                return target is SourcedText text ? Values.Characters(text, at, at + 1) : ((IReadOnlyList<object?>)target)[(int)at];
            default:
                return Missing();
        }

        Undefined Missing() => new(index is SourcedText name ? name.Text : index is long number ? $"[{number}]" : "element",
            Values.PythonType(target));
    }

    public static object? Slice(Site site, object? target, object? from, object? to, object? step)
    {
        if (target is Undefined undefined) throw site.Fail(undefined.Message);
        if (target is not (SourcedText or IReadOnlyList<object?>)) throw site.Fail($"{Values.Describe(target)} cannot be sliced");
        var stride = Bound(step) ?? 1;
        if (stride == 0) throw site.Fail("a slice needs a step other than 0");
        var count = Values.Length(site, target);
        // The range of the first and the last index, to which Python clamps.
        var (least, most) = stride > 0 ? (0L, count) : (-1L, count - 1);
        var first = from is null ? stride > 0 ? least : most : Clamp(Bound(from)!.Value);
        var end = to is null ? stride > 0 ? most : least : Clamp(Bound(to)!.Value);

        // Sliced as one piece, so that an empty slice of a text still has an origin.
        if (target is SourcedText source && stride == 1) return Values.Characters(source, first, Math.Max(first, end));
        var items = Values.Iterate(site, target);
        var result = new List<object?>();
        for (var i = first; stride > 0 ? i < end : i > end; i += stride) result.Add(items[(int)i]);
        return target switch
        {
            SourcedText => SourcedText.Concat(result.Cast<SourcedText>()),
            PythonTuple => new PythonTuple(result),
            PythonRange range => new PythonRange(result, range.Start + first * range.Step, range.Start + end * range.Step,
                range.Step * stride),
            _ => result,
        };

        long Clamp(long at) => Math.Clamp(at < 0 ? at + count : at, least, most);

        long? Bound(object? value) => value switch
        {
            null => null,
            // Beyond this range all bounds are equivalent, and sums of them do not overflow.
            _ when Values.IsInteger(value) => Math.Clamp(Values.AsInteger(value), -(1L << 40), 1L << 40),
            _ => throw site.Fail($"a slice needs integers, not {Values.Describe(value)}"),
        };
    }

    private static SourcedText Join(Site site, SourcedText left, SourcedText right, Budget budget)
    {
        CheckLength(site, (long)left.Length + right.Length, budget);
        return SourcedText.Concat(left, right);
    }

    private static object Repeat(Site site, object value, long times, Budget budget)
    {
        times = Math.Clamp(times, 0, Budget.LongestText + 1L);
        if (value is SourcedText text)
        {
            CheckLength(site, text.Length * times, budget);
            return SourcedText.Concat(Enumerable.Repeat(text, text.Length == 0 ? 0 : (int)times));
        }
        var list = (IReadOnlyList<object?>)value;
        budget.Spend(site, Budget.ElementWork * list.Count * times);
        var repeated = Enumerable.Repeat(list, list.Count == 0 ? 0 : (int)times).SelectMany(items => items);
        return list is PythonTuple ? new PythonTuple(repeated) : repeated.ToList();
    }

    private static void CheckLength(Site site, long length, Budget budget)
    {
        if (length > Budget.LongestText) throw site.Fail($"a text of more than {Budget.LongestText} characters");
        budget.Spend(site, length);
    }

    private static object Real(Site site, string operation, double left, double right)
    {
        if (right == 0 && operation is "/" or "//" or "%") throw site.Fail("division by zero");
        return operation switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => Math.Floor(left / right),
            _ => Remainder(left, right),
        };
    }

    // The result has the sign of the divisor.
    private static double Remainder(double left, double right)
    {
        var rest = left % right;
        return rest != 0 && rest < 0 != right < 0 ? rest + right : rest == 0 ? Math.CopySign(0, right) : rest;
    }

    private static object Whole(Site site, string operation, long left, long right)
    {
        if (right == 0 && operation is "//" or "%") throw site.Fail("division by zero");
        try
        {
            return operation switch
            {
                "+" => checked(left + right),
                "-" => checked(left - right),
                "*" => checked(left * right),
                "//" => FloorDivide(left, right),
                _ => right == -1 ? 0 : left - right * FloorDivide(left, right),
            };
        }
        catch (OverflowException)
        {
            throw site.Fail($"the result of '{operation}' is outside 64 bits");
        }
    }

    private static long FloorDivide(long left, long right)
    {
        if (right == -1) return checked(-left);
        var (quotient, remainder) = Math.DivRem(left, right);
        return remainder != 0 && (remainder < 0) != (right < 0) ? quotient - 1 : quotient;
    }
}
