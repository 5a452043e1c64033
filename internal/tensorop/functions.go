package tensorop

import (
	"fmt"
	"math"
)

// The elementwise functions of ONNX (Operators.md), with their derivatives.

func one(cond bool) float64 {
	if cond {
		return 1
	}
	return 0
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func softplus(x float64) float64 {
	if x > 30 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

const twoOverSqrtPi = 2 / 1.7724538509055160272981674833411451

// Functions without parameters, by the name of the ONNX operator.
var Functions = map[string]Function{
	"Abs":   {F: math.Abs, D: func(x, _ float64) float64 { return one(x > 0) - one(x < 0) }},
	"Acos":  {F: math.Acos, D: func(x, _ float64) float64 { return -1 / math.Sqrt(1-x*x) }},
	"Acosh": {F: math.Acosh, D: func(x, _ float64) float64 { return 1 / math.Sqrt(x*x-1) }},
	"Asin":  {F: math.Asin, D: func(x, _ float64) float64 { return 1 / math.Sqrt(1-x*x) }},
	"Asinh": {F: math.Asinh, D: func(x, _ float64) float64 { return 1 / math.Sqrt(x*x+1) }},
	"Atan":  {F: math.Atan, D: func(x, _ float64) float64 { return 1 / (1 + x*x) }},
	"Atanh": {F: math.Atanh, D: func(x, _ float64) float64 { return 1 / (1 - x*x) }},
	"Ceil":  {F: math.Ceil},
	"Cos":   {F: math.Cos, D: func(x, _ float64) float64 { return -math.Sin(x) }},
	"Cosh":  {F: math.Cosh, D: func(x, _ float64) float64 { return math.Sinh(x) }},
	"Erf":   {F: math.Erf, D: func(x, _ float64) float64 { return twoOverSqrtPi * math.Exp(-x*x) }},
	"Exp":   {F: math.Exp, D: func(_, y float64) float64 { return y }},
	"Floor": {F: math.Floor},
	"HardSwish": {
		F: func(x float64) float64 { return x * min(max(x/6+0.5, 0), 1) },
		D: func(x, _ float64) float64 {
			switch {
			case x <= -3:
				return 0
			case x >= 3:
				return 1
			}
			return x/3 + 0.5
		}},
	"Log": {F: math.Log, D: func(x, _ float64) float64 { return 1 / x }},
	"Mish": {
		F: func(x float64) float64 { return x * math.Tanh(softplus(x)) },
		D: func(x, _ float64) float64 {
			t := math.Tanh(softplus(x))
			return t + x*(1-t*t)*logistic(x)
		}},
	"Neg":        {F: func(x float64) float64 { return -x }, D: func(_, _ float64) float64 { return -1 }},
	"Reciprocal": {F: func(x float64) float64 { return 1 / x }, D: func(_, y float64) float64 { return -y * y }},
	"Relu": {
		F: func(x float64) float64 {
			if x < 0 {
				return 0
			}
			return x
		},
		D: func(x, _ float64) float64 { return one(x > 0) }},
	"Round":    {F: math.RoundToEven},
	"Sigmoid":  {F: logistic, D: func(_, y float64) float64 { return y * (1 - y) }},
	"Sign":     {F: func(x float64) float64 { return one(x > 0) - one(x < 0) }},
	"Sin":      {F: math.Sin, D: func(x, _ float64) float64 { return math.Cos(x) }},
	"Sinh":     {F: math.Sinh, D: func(x, _ float64) float64 { return math.Cosh(x) }},
	"Softplus": {F: softplus, D: func(x, _ float64) float64 { return logistic(x) }},
	"Softsign": {
		F: func(x float64) float64 { return x / (1 + math.Abs(x)) },
		D: func(x, _ float64) float64 { return 1 / ((1 + math.Abs(x)) * (1 + math.Abs(x))) }},
	"Sqrt": {F: math.Sqrt, D: func(_, y float64) float64 { return 0.5 / y }},
	"Tan":  {F: math.Tan, D: func(_, y float64) float64 { return 1 + y*y }},
	"Tanh": {F: math.Tanh, D: func(_, y float64) float64 { return 1 - y*y }},
}

// Elu is x for x > 0, α(eˣ−1) otherwise.
func Elu(alpha float64) Function {
	return Function{Name: fmt.Sprintf("Elu[%v]", alpha),
		F: func(x float64) float64 {
			if x > 0 {
				return x
			}
			return alpha * math.Expm1(x)
		},
		D: func(x, y float64) float64 {
			if x > 0 {
				return 1
			}
			return y + alpha
		}}
}

// Celu is max(0, x) + min(0, α(e^(x/α)−1)).
func Celu(alpha float64) Function {
	return Function{Name: fmt.Sprintf("Celu[%v]", alpha),
		F: func(x float64) float64 { return max(0, x) + min(0, alpha*math.Expm1(x/alpha)) },
		D: func(x, _ float64) float64 {
			if x > 0 {
				return 1
			}
			return math.Exp(x / alpha)
		}}
}

// Selu is γx for x > 0, γα(eˣ−1) otherwise.
func Selu(alpha, gamma float64) Function {
	return Function{Name: fmt.Sprintf("Selu[%v %v]", alpha, gamma),
		F: func(x float64) float64 {
			if x > 0 {
				return gamma * x
			}
			return gamma * alpha * math.Expm1(x)
		},
		D: func(x, y float64) float64 {
			if x > 0 {
				return gamma
			}
			return y + gamma*alpha
		}}
}

// LeakyRelu is x for x ≥ 0, αx otherwise.
func LeakyRelu(alpha float64) Function {
	return Function{Name: fmt.Sprintf("LeakyRelu[%v]", alpha),
		F: func(x float64) float64 {
			if x < 0 {
				return alpha * x
			}
			return x
		},
		D: func(x, _ float64) float64 {
			if x < 0 {
				return alpha
			}
			return 1
		}}
}

// ThresholdedRelu is x for x > α, 0 otherwise.
func ThresholdedRelu(alpha float64) Function {
	return Function{Name: fmt.Sprintf("ThresholdedRelu[%v]", alpha),
		F: func(x float64) float64 {
			if x > alpha {
				return x
			}
			return 0
		},
		D: func(x, _ float64) float64 { return one(x > alpha) }}
}

// HardSigmoid is αx + β limited to [0, 1].
func HardSigmoid(alpha, beta float64) Function {
	return Function{Name: fmt.Sprintf("HardSigmoid[%v %v]", alpha, beta),
		F: func(x float64) float64 { return min(max(alpha*x+beta, 0), 1) },
		D: func(_, y float64) float64 { return alpha * one(y > 0 && y < 1) }}
}

// Shrink is x−bias for x > λ, x+bias for x < −λ, 0 otherwise.
func Shrink(bias, lambd float64) Function {
	return Function{Name: fmt.Sprintf("Shrink[%v %v]", bias, lambd),
		F: func(x float64) float64 {
			switch {
			case x < -lambd:
				return x + bias
			case x > lambd:
				return x - bias
			}
			return 0
		},
		D: func(x, _ float64) float64 { return one(x < -lambd || x > lambd) }}
}

// Swish is x·σ(αx).
func Swish(alpha float64) Function {
	return Function{Name: fmt.Sprintf("Swish[%v]", alpha),
		F: func(x float64) float64 { return x * logistic(alpha*x) },
		D: func(x, _ float64) float64 {
			s := logistic(alpha * x)
			return s + alpha*x*s*(1-s)
		}}
}

// Gelu is x·Φ(x), or its tanh approximation (Hendrycks and Gimpel, 2016).
func Gelu(approximate bool) Function {
	if approximate {
		const c = 0.79788456080286535588 // √(2/π)
		return Function{Name: "Gelu[tanh]",
			F: func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(c*(x+0.044715*x*x*x))) },
			D: func(x, _ float64) float64 {
				t := math.Tanh(c * (x + 0.044715*x*x*x))
				return 0.5*(1+t) + 0.5*x*(1-t*t)*c*(1+3*0.044715*x*x)
			}}
	}
	return Function{Name: "Gelu[none]",
		F: func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) },
		D: func(x, _ float64) float64 {
			return 0.5*math.Erfc(-x/math.Sqrt2) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		}}
}
