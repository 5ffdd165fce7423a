r"""Right and wrong answers about several values, intervals, vectors and formulas: reference, right ones, wrong ones."""

Rows = list[tuple[str, list[str], list[str]]]

SEVERAL: Rows = [
    (
        "4, -4",
        [
            "-4, 4",
            r"\pm 4",
            r"4 \text{ and } -4",
            r"4 \text{ or } -4",
            "4 and -4",
            "4 or -4",
            r"\{4,-4\}",
            "x=4, x=-4",
            r"x = 4 \text{ or } x = -4",
            r"x=\pm 4",
            "4; -4",
            r"x_1 = 4, x_2 = -4",
            r"4,\ -4",
            r"4 \quad \text{and} \quad -4",
            r"x \in \{-4, 4\}",
            r"-4 \text{, } 4",
        ],
        ["4", "-4", "4, 4", "4, -4, 0", "(4,-4)", "0", r"\pm 2", "4, -5", "[4,-4]", "4 - 4"],
    ),
    (
        "1, 2, 5",
        ["5, 2, 1", r"1,2,\text{ and }5", "1, 2 and 5", r"\{5,1,2\}", r"\left\{1,2,5\right\}"],
        ["1, 2", "1, 5", "1, 2, 5, 7", "(1,2,5)", "125", "8"],
    ),
    (
        r"2 \pm \sqrt{3}",
        [r"2+\sqrt{3}, 2-\sqrt{3}", r"2-\sqrt3 \text{ and } 2+\sqrt3", r"x=2\pm\sqrt{3}"],
        [r"2+\sqrt{3}", r"3\pm\sqrt2", r"2 \pm \sqrt{5}"],
    ),
    (r"\{3\}", ["3", r"\{3\}"], ["4", r"\{3,4\}", r"\{\}"]),
    (
        r"\{-1,0,\frac12\}",
        [r"-1,0,0.5", r"\left\{\frac12,-1,0\right\}", r"\{0,-1,\tfrac{1}{2}\}"],
        [r"\{-1,0\}", r"(-1,0,\frac12)", r"\{-1,0,2\}"],
    ),
    ("x=1, y=2", ["y=2, x=1", "(1,2)", "x = 1, y = 2"], ["x=2, y=1", "(2,1)", "1", "x=1"]),
    ("a, b", ["b, a"], ["a", "ab", "a, c"]),
    (r"\sqrt{2}, 3", [r"3, \sqrt2", "1.414213562, 3"], [r"\sqrt{2}", r"3\sqrt{2}", "2, 3"]),
]

INTERVALS: Rows = [
    (
        "[1,6)",
        [
            r"[1, 6)",
            r"1 \le x < 6",
            r"x \in [1,6)",
            r"6 > x \ge 1",
            r"\left[1,6\right)",
            r"1\leq t<6",
            r"\{x \mid 1 \le x < 6\}",
            r"\{x : 1 \leq x < 6\}",
        ],
        ["(1,6]", "(1,6)", "[1,6]", "[1,7)", r"1 < x < 6", "1,6", r"\{1,6\}", r"x < 6", "[6,1)"],
    ),
    (r"(-3,8)", ["(-3, 8)", r"-3 < x < 8", r"(-3.0,8)"], ["(8,-3)", "[-3,8]", r"\{-3,8\}", "-3,8", "(-3,8]", "(3,8)"]),
    (
        r"(-\infty,2)\cup(5,\infty)",
        [
            r"(5,\infty)\cup(-\infty,2)",
            r"x<2 \text{ or } x>5",
            "x < 2 or x > 5",
            r"x \in (-\infty, 2) \cup (5, \infty)",
            "(-∞,2)∪(5,∞)",
            r"(-\infty,2) U (5,\infty)",
        ],
        [
            r"(-\infty,2]\cup(5,\infty)",
            r"(-\infty,2)",
            r"(5,\infty)",
            r"(2,5)",
            r"(-\infty,2)\cap(5,\infty)",
            r"2<x<5",
            r"(-\infty,2)\cup(6,\infty)",
        ],
    ),
    (
        r"x > 7",
        [r"(7,\infty)", "7 < x", r"x \in (7, \infty)", "x>7"],
        ["x < 7", r"x \ge 7", r"[7,\infty)", "7", "x > 8", "y > 7"],
    ),
    (
        r"(-\infty,\infty)",
        [r"\mathbb{R}", r"(-\infty, +\infty)", r"x \in \mathbb{R}", r"\text{all real numbers}"],
        [r"(0,\infty)", "0", r"\emptyset"],
    ),
    (
        r"\mathbb{R} \setminus \{2\}",
        [r"(-\infty,2)\cup(2,\infty)", r"x \ne 2", r"x \neq 2"],
        [r"x = 2", r"\mathbb{R}", r"x \ne 3"],
    ),
    (r"[0,1] \cup \{4\}", [r"\{4\} \cup [0,1]"], ["[0,1]", r"[0,4]", r"[0,1] \cup \{5\}"]),
    (
        r"\left[-\frac12,\sqrt{3}\right]",
        [r"-0.5 \le x \le \sqrt3", r"[-1/2, √3]"],
        [r"[-\frac12,3]", r"(-\frac12,\sqrt3)"],
    ),
    (r"\emptyset", [r"\varnothing", r"\{\}", "∅"], ["0", r"\{0\}"]),
]

VECTORS: Rows = [
    (
        r"\begin{pmatrix} 2 \\ 7 \end{pmatrix}",
        [
            r"\begin{bmatrix}2\\7\end{bmatrix}",
            "(2,7)",
            r"\langle 2, 7\rangle",
            r"\begin{pmatrix}2\\7\\\end{pmatrix}",
            r"(2,7)^T",
            r"\left(\begin{array}{c}2\\7\end{array}\right)",
            "⟨2,7⟩",
            "[2,7]",
        ],
        [
            "(7,2)",
            r"\begin{pmatrix} 7 \\ 2 \end{pmatrix}",
            r"\begin{pmatrix} 2 & 7 \end{pmatrix}",
            "2,7",
            r"\{2,7\}",
            r"\begin{pmatrix} 2 \\ 7 \\ 0 \end{pmatrix}",
            "9",
        ],
    ),
    (
        r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
        [
            r"\begin{bmatrix} 1&2\\3&4 \end{bmatrix}",
            r"\begin{pmatrix} 1 & 2 \\ 3 & \frac82 \end{pmatrix}",
            r"\left[\begin{array}{cc}1&2\\3&4\end{array}\right]",
        ],
        [
            r"\begin{pmatrix} 1 & 3 \\ 2 & 4 \end{pmatrix}",
            r"\begin{vmatrix} 1 & 2 \\ 3 & 4 \end{vmatrix}",
            "-2",
            r"\begin{pmatrix} 1 & 2 \end{pmatrix}",
            "(1,2,3,4)",
        ],
    ),
    (
        "(1,-2,3)",
        [
            r"\begin{pmatrix}1\\-2\\3\end{pmatrix}",
            r"\langle 1,-2,3 \rangle",
            "(1, -2, 3)",
            "[1,-2,3]",
            r"(x,y,z) = (1,-2,3)",
        ],
        ["(3,-2,1)", "1,-2,3", r"\{1,-2,3\}", "(1,2,3)", "(1,-2)"],
    ),
    (
        "(3,4),(4,3)",
        ["(4,3),(3,4)", r"(3,4) \text{ and } (4,3)", r"\{(3,4),(4,3)\}"],
        ["(3,4)", "(3,3),(4,4)", "3,4", "(3,4),(3,4)"],
    ),
    (r"\left(2, \frac{\pi}{3}\right)", [r"(2,\pi/3)", "(2, π/3)"], [r"(\pi/3, 2)", r"(2,\pi/4)", r"2,\pi/3"]),
]

ODD: Rows = [
    (
        r"k_{\max }=n^{2}+5",
        [r"k_{\max}=n^2+5", "n^2+5", r"k_{\text{max}} = n^2 + 5", "5+n^{2}"],
        ["n^2", "n^2+6", r"k_{\min}=n^2+5", r"k_{\max}"],
    ),
    ("-5./4", [r"-\frac54", "-1.25", "-5/4"], ["5/4", "-0.8"]),
    (
        "np.arccos(2/5)",
        [r"\arccos(2/5)", r"\arccos\left(\frac25\right)", r"\cos^{-1}(2/5)", r"\arccos 0.4"],
        [r"\arcsin(2/5)", r"\arccos(5/2)", "2/5"],
    ),
    ("np.sqrt(3)/2", [r"\frac{\sqrt3}{2}", "0.866025403784"], [r"\sqrt{\frac32}", "3/2"]),
    ("2*np.pi", [r"2\pi"], [r"\pi", "2"]),
    (
        r"\frac{dN}{dt}=-k N^{2}",
        [r"\frac{dN}{dt}=-kN^2", r"-k N^2", r"\frac{d N}{d t} = -N^{2}k"],
        [r"\frac{dN}{dt}=kN^2", r"\frac{dN}{dt}=-kN", r"\frac{dM}{dx}=-kN"],
    ),
    ("E_{1},E_{3}", ["E_3, E_1", r"E_1 \text{ and } E_3"], ["E_1", "E_1, E_2", "E_{13}"]),
    (
        r"\arcsin{1.2 \sin{\theta_w}}",
        [r"\arcsin(1.2\sin\theta_w)", r"\sin^{-1}(1.2 \sin(\theta_w))", r"\arcsin\left(\frac65 \sin\theta_w\right)"],
        [r"\arcsin(\sin\theta_w)", r"1.2 \theta_w", r"\arcsin{1.2 \cos{\theta_w}}"],
    ),
    (
        r"\frac{2 \pi c^2 R^2}{d^2 \lambda^5 [e^{hc/(\lambda kT)}-1]}",
        [r"\frac{2\pi R^2c^2}{\lambda^5 d^2 \left(e^{\frac{hc}{\lambda k T}}-1\right)}"],
        [
            r"\frac{2\pi c^2 R^2}{d^2 \lambda^5 [e^{hc/(\lambda kT)}+1]}",
            r"\frac{2\pi c^2 r^2}{d^2\lambda^5[e^{hc/(\lambda kT)}-1]}",
        ],
    ),
    (
        r"\frac{1}{3} e^{t}+c e^{-2 t}",
        [r"ce^{-2t} + \frac{e^t}{3}", r"y(t)=\frac{1}{3}e^{t}+\frac{c}{e^{2t}}"],
        [r"\frac13 e^t + ce^{2t}", r"\frac13 e^t"],
    ),
    (
        r"x_{0} \cos (\omega t)+\dot{x}_{0} \sin (\omega t) / \omega",
        [r"x_0\cos\omega t + \frac{\dot{x}_0}{\omega}\sin\omega t"],
        [r"x_0\cos\omega t + \frac{x_0}{\omega}\sin\omega t", r"x_0 \cos\omega t"],
    ),
    (r"\int_0^1 x^3 dx", [r"\int_0^1 x^3\,dx", r"\int_{0}^{1} x^3 \, dx"], [r"\int_0^2 x^3 dx", "f(x)"]),
    (r"m g h", ["mgh", "hgm", r"m \cdot g \cdot h"], ["mg", "mgH", "m g h^2"]),
    (
        r"\text{(B)}",
        ["B", "(B)", r"\text{B}", r"\textbf{(B)}", r"\mathrm{(B)}", r"\text{(B) }", "B."],
        ["A", "(C)", "b+1", "AB"],
    ),
    (r"\text{Monday}", ["Monday", "monday", r"\textbf{Monday}", r"\text{Monday}."], ["Tuesday", r"\text{Mon}", "day"]),
    (r"\text{even}", ["even", "Even"], ["odd", "uneven", r"\text{neither}"]),
    ("3:2", ["3:2", "3 : 2", r"3\!:\!2"], ["2:3", "3:4", "32"]),
]

EXPRESSIONS: Rows = [
    (
        "x^2-4x+4",
        [
            "(x-2)^2",
            "4-4x+x^2",
            "x^{2} - 4x + 4",
            r"(2-x)^2",
            "x(x-4)+4",
            "x**2 - 4*x + 4",
            r"f(x)=x^2-4x+4",
            r"y = (x-2)^2",
        ],
        ["x^2+4x+4", "x^2-4x", "(x-2)", "X^2-4X+4", "y^2-4y+4"],
    ),
    (
        "y = 3x - 1",
        ["3x-1", "y=3x-1", "3x - y = 1", "y - 3x + 1 = 0", "3x-1=y"],
        ["y=3x+1", "x=3y-1", "3x-y=2", "y=3x"],
    ),
    (
        "2x+3y-6=0",
        ["2x+3y=6", "4x+6y-12=0", "6-2x-3y=0", "-2x-3y+6=0"],
        ["2x+3y+6=0", "2x-3y-6=0", "2x+3y", "3x+2y-6=0"],
    ),
    (
        r"\frac{x+1}{x-1}",
        [r"\frac{-x-1}{1-x}", "(x+1)/(x-1)", r"1+\frac{2}{x-1}"],
        [r"\frac{x-1}{x+1}", r"\frac{x+1}{1-x}", "-1"],
    ),
    (r"\sin 2x", [r"2\sin x\cos x", r"\sin(2x)", "sin(2x)"], [r"2\sin x", r"\cos 2x", r"\sin x"]),
    (
        r"\tan^2 \theta",
        [r"\frac{\sin^2\theta}{\cos^2\theta}", r"\sec^2\theta-1", r"(\tan\theta)^2"],
        [r"\tan\theta", r"\tan\theta^2"],
    ),
    (r"\log_2 x", [r"\frac{\ln x}{\ln 2}"], [r"\log x", r"\ln x", r"2\log x"]),
    (r"3\pi r^2", [r"3 r^2 \pi"], [r"3\pi R^2", r"3\pi r", r"\pi r^2"]),
    ("|x-3|", ["|3-x|", r"\lvert x-3\rvert", r"\left|x-3\right|"], ["x-3", "3-x", "|x|-3"]),
    (
        r"\frac{n(n+1)}{2}",
        [r"\frac{n^2+n}{2}", r"\binom{n+1}{2}", "n(n+1)/2", r"\frac12n(n+1)"],
        [r"\frac{n(n-1)}{2}", "n(n+1)", r"\frac{n^2+1}{2}"],
    ),
    (r"2^{n+1}-1", [r"2\cdot 2^n - 1"], ["2^n-1", "2^{n+1}", "2^{n}+1"]),
    (r"\frac{\sqrt{3}}{3}", [r"\frac{1}{\sqrt3}", r"3^{-1/2}", r"\tan 30^\circ"], [r"\sqrt3", r"\frac{\sqrt2}{3}"]),
    (r"e^{i\pi/4}", [r"\frac{\sqrt2}{2}+\frac{\sqrt2}{2}i", r"\frac{1+i}{\sqrt2}"], [r"e^{-i\pi/4}", "i"]),
    (r"\lfloor \sqrt{10} \rfloor", ["3"], ["4", r"\sqrt{10}"]),
    ("(a+2)(b-3)", ["(b-3)(a+2)", "ab-3a+2b-6"], ["(a-2)(b+3)", "(a+2),(b-3)", "ab-6"]),
    (r"90 - x", [r"90^\circ - x"], ["x-90", "180-x"]),
]

TINY: Rows = [
    (
        r"\frac{1}{2^{80}}",
        ["2^{-80}", r"\left(\frac12\right)^{80}", r"\frac{1}{4^{40}}"],
        [r"\frac{1}{2^{81}}", "0", r"\frac{1}{3^{80}}", "2^{80}"],
    ),
    (r"\frac{1}{50!}", [r"\frac{1}{50 \cdot 49!}"], [r"\frac{1}{51!}", "0", r"\frac{1}{49!}"]),
    (r"5.3 \times 10^{-20}", ["5.3e-20"], ["5.4e-20", "0", "5.3e-21"]),
    (r"e^{-100}", [r"\frac{1}{e^{100}}"], ["e^{-101}", "0", "10^{-100}"]),
    (r"10^{30}", ["1e30"], [r"10^{30}+1", "1e31"]),
]
