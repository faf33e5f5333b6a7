using AnchorScope.Checkpoints;
using AnchorScope.Tensors;

namespace AnchorScope.Models;

/// <summary>Two linear layers with an activation between them, from the tower's width to the decoder's.</summary>
internal sealed class Projector(Linear first, Activation activation, Linear second)
{
    /// <summary>Reads the projector; its activation is the configuration's projector_hidden_act.</summary>
    /// <param name="firstName">Name of the first layer without <c>.weight</c>.</param>
    /// <param name="secondName">Name of the second layer.</param>
    /// <param name="inputs">Input width.</param>
    /// <param name="outputs">Output width: d_model of the decoder.</param>
    public static Projector Read(ConfigSection config, Weights weights, string firstName, string secondName, int inputs, int outputs)
    {
        var name = config.Text("projector_hidden_act", "gelu");
        var activation = Activations.Parse(name) ?? throw config.Unsupported("projector_hidden_act", name, Activations.Names);
        var biased = config.Flag("multimodal_projector_bias", true);
        Linear Layer(string layer, int width) =>
            new(weights.Get(layer + ".weight", outputs, width), biased ? weights.Get(layer + ".bias", outputs) : null);
        return new Projector(Layer(firstName, inputs), activation, Layer(secondName, outputs));
    }

    /// <summary>[image token, inputs] to [image token, d_model].</summary>
    public Tensor Forward(Tensor tokens, Compute compute)
    {
        var hidden = first.Forward(tokens, compute);
        Activations.Apply(activation, hidden, compute);
        return second.Forward(hidden, compute);
    }

    /// <summary>
    /// Returns the gradient with respect to the input, from the gradient with respect to the output; adds the gradients with respect to the
    /// weights.
    /// </summary>
    public Tensor Backward(Tensor tokens, Tensor d, Compute compute, Gradients gradients)
    {
        var before = first.Forward(tokens, compute);
        var hidden = before.Copy(compute.Arena);
        Activations.Apply(activation, hidden, compute);
        var dHidden = LinearGradient.Both(second, hidden, d, gradients, compute);
        for (var row = 0; row < before.Rows; row++)
        {
            Activations.Derive(activation, before[row]);
            System.Numerics.Tensors.TensorPrimitives.Multiply(dHidden[row], before[row], dHidden[row]);
        }
        return LinearGradient.Both(first, tokens, dHidden, gradients, compute);
    }
}
