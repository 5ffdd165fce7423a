r"""Right and wrong answers, by the kind of what they say. A row: reference, right answers, wrong answers."""

from collections.abc import Iterator

import pytest

from trim.problems.grading import Grader, extract_answer

Rows = list[tuple[str, list[str], list[str]]]

NUMBERS: Rows = [
    (
        "31",
        ["31", "031", "31.0", "+31", "31.", "$31$", r"\(31\)", r"\tfrac{62}{2}", "30+1"],
        ["13", "310", "3.1", "-31", "", "31.5"],
    ),
    ("-8", ["-8", "- 8", "-8.0", r"-\frac{16}{2}", "(-8)"], ["8", "-0.8", "--8", r"\pm 8"]),
    (".45", ["0.45", r"\frac{9}{20}", "9/20", "45\\%"], ["0.54", "45", ".045", "4/5"]),
    ("0", ["0", "0.0", "-0", r"0 \text{ cm}"], ["1", "o", r"\emptyset", "10"]),
    (
        r"\frac{5}{8}",
        ["5/8", "0.625", r"\dfrac58", r"\frac 58", r"\frac{-5}{-8}", r"{5 \over 8}", "10/16", r"5 \div 8"],
        ["8/5", "0.62", "5.8", r"-\frac58"],
    ),
    (
        r"-\frac{7}{3}",
        [r"\frac{-7}{3}", r"\frac{7}{-3}", "-7/3", r"-2\frac{1}{3}", "-2 1/3"],
        ["7/3", r"-\frac{3}{7}", r"2\frac13", "-2.3"],
    ),
    (r"4\frac{1}{5}", ["4.2", "21/5", "4 1/5", r"4 \frac15", r"\frac{21}{5}"], ["4/5", "4.15", r"\frac{41}{5}"]),
    (r"0.1\overline{6}", ["1/6", r"\frac16", r"0.1\bar{6}", r"0.16\overline{6}"], ["0.16", "0.17", r"0.\overline{16}"]),
    (r"\frac{2}{7}", ["0.285714286", r"0.\overline{285714}"], ["0.2857", "0.285715", "0.28571"]),
    ("2^{10}", ["1024", "4^5", "2^10", "2**10", r"2^{9} \cdot 2"], ["20", "512", "2^{11}", "1023"]),
    ("6!", ["720", r"5! \cdot 6"], ["6", "5!", "72"]),
    (r"\binom{7}{3}", ["35", r"\dbinom73", r"\frac{7!}{3!4!}"], ["21", r"\binom{7}{2}", "7/3"]),
    (
        r"2\sqrt{6}",
        [r"\sqrt{24}", "2√6", "2*sqrt(6)", r"2 \sqrt 6", "4.898979486", r"\sqrt{6}\cdot 2", r"\frac{12}{\sqrt6}"],
        [r"\sqrt{6}", r"6\sqrt{2}", "4.89", r"2\sqrt{5}", "4.898978"],
    ),
    (r"\sqrt[3]{5}", ["5^{1/3}", r"5^{\frac13}", "∛5", r"\sqrt[3] 5"], [r"\sqrt{5}", r"3\sqrt{5}", "5/3"]),
    (
        r"\frac{\pi}{3}",
        [r"\pi/3", "π/3", "pi/3", r"\frac13\pi", "1.047197551"],
        [r"\frac{\pi}{4}", "1.05", r"\frac{3}{\pi}", "1/3"],
    ),
    (r"\ln 2", [r"\ln(2)", "ln 2", r"\log_e 2", r"\frac12 \ln 4", r"-\ln\frac12"], [r"\ln 3", r"\log 2", "2"]),
    (r"3+4i", ["4i+3", r"3 + 4 i", r"i(4-3i)"], ["3-4i", "4+3i", "7", "7i"]),
    (
        "123456789012345678901",
        ["123456789012345678901", "123,456,789,012,345,678,901"],
        ["123456789012345678902", "1.23456789012345678901"],
    ),
    ("2^{200}", [r"4^{100}"], ["2^{200}+1", "2^{201}"]),
    ("1234567", [r"1.234567 \times 10^6"], ["1.23457e6", "1234566", "1234567.4"]),
]

E_NOTATION: Rows = [
    (
        "4.8e15",
        [
            r"4.8 \times 10^{15}",
            r"4.8\cdot10^{15}",
            "4.8E15",
            "4.8e+15",
            "4.8*10^15",
            "4.8 × 10¹⁵",
            "4.8*10**15",
            "4800000000000000",
            r"48\times10^{14}",
            "4.80e15",
            r"4.8 \times 10^{15} \mathrm{~Hz}",
        ],
        ["4.8e14", r"4.8 \times 10^{-15}", "4.8", "48e15", "4.9e15", r"4.8 \times 15^{10}"],
    ),
    (
        "2e-9",
        [
            r"2 \times 10^{-9}",
            "2.0e-9",
            "0.000000002",
            r"2\times 10^{-9}\text{ m}",
            r"\frac{2}{10^9}",
            "2 \\cdot 10^{−9}",
        ],
        ["3e-9", "2e-10", "2e9", "0", "1e-9", r"2 \times 10^{-8}"],
    ),
    ("-6.25e-3", ["-0.00625", r"-6.25 \times 10^{-3}", r"-\frac{1}{160}"], ["0.00625", "-6.25e3", "-0.0625"]),
    ("9.1e-31", [r"9.1 \times 10^{-31}"], ["1.7e-27", "9.2e-31", "0", "9.1e-30"]),
    ("1e6", ["1000000", "1,000,000", "10^6", "10^{6}", r"1 \times 10^6", "1 million"], ["100000", "1e5", "6"]),
    ("35000", ["3.5e4", r"3.5 \times 10^4", "35e3", "35 thousand"], ["3.5", "3.5e5", "35"]),
    ("0.00042", ["4.2e-4", r"4.2 \times 10^{-4}", r"42 \times 10^{-5}", ".00042"], ["4.2e-5", "0.0042"]),
    (r"6.02 \times 10^{23}", ["6.02e23", "6.02E+23", r"6.02\times 10^{23}\,\text{mol}^{-1}"], ["6.02e22", "6.03e23"]),
]

THOUSANDS: Rows = [
    (
        "73500",
        [
            "73,500",
            "73{,}500",
            r"73,\!500",
            r"73\,500",
            "73 500",
            "73\u202f500",
            "73\u00a0500",
            "73\u2009500",
            r"73\;500",
            "73，500",
            r"\$73,500",
            r"73,500 \text{ people}",
            "73,500.00",
            r"\$73{,}500.00",
        ],
        ["73, 500", "73,5", "73.5", "735", "73,50", "(73,500)", "36500"],
    ),
    (
        "1250000",
        ["1,250,000", r"1{,}250{,}000", "1 250 000", r"1\,250\,000", "1.25 million", r"1.25 \text{ million}"],
        ["1,250", "1, 250, 000", "12,500,00", "1.25"],
    ),
    (r"6,\!480", ["6480", "6,480", "6 480"], ["648", "6.48", "6, 480"]),
    (
        r"\$1,\!206",
        ["1206", r"\$1206", "1,206", "1206 dollars", r"1206 \text{ dollars}"],
        ["1,260", "126", "1206 cents"],
    ),
    ("100, 200", ["100,200", "200, 100", r"\{100, 200\}"], ["100", "300", "100, 300"]),
    ("2,4,6", ["6,4,2", "2, 4, 6"], ["246", "2,4", "2,4,6,8"]),
]

PERCENT: Rows = [
    ("60", [r"60\%", "60%", "60 percent", r"60 \text{ percent}", r"60\,\%"], ["0.6", "6%", r"0.6\%"]),
    (r"12.5\%", ["12.5", "0.125", r"\frac18", "12.5 %", r"12\frac12\%", "12.50%"], ["125", "0.125%", "1.25", "12"]),
    ("0.04", [r"4\%", "4%", "1/25"], ["4", r"0.04 \cdot 10", r"40\%"]),
    (r"-20\%", ["-20", "-20%"], ["20", r"20\%", "0.8"]),
    (r"100\%", ["1", "100"], ["10", "1000"]),
]

UNICODE: Rows = [
    ("-12", ["−12", "–12", "—12", "‒12", "－12", "﹣12", "‐12", "−１２"], ["12", "１２", "1−2"]),
    (r"\frac{3}{4}", ["¾", "3⁄4", "3∕4"], ["¼", "34", "⅔"]),
    ("2.5", ["2½", "２.５"], ["½", "2¼"]),
    (r"\sqrt{7}", ["√7", "√(7)", r"√{7}"], ["√6", "7"]),
    ("x^3+2", ["x³+2", "x³ + 2", "𝑥³+2", "2+x^{3}"], ["x²+2", "x3+2"]),
    (r"2\pi r", ["2πr", "2 π r", "2⋅π⋅r"], ["πr", "2πR"]),
    (r"\theta_1", ["θ₁", r"\theta_{1}"], ["θ₂", r"\theta"]),
    (r"45^\circ", ["45°", "45º", "45˚", r"45\degree"], ["54°", "45'"]),
    ("9", ["٩", "९", "９", "9\u200b", "\ufeff9", "\u20669\u2069", "⁠9"], ["٨", "६"]),
    (r"[-1,\infty)", ["[−1, ∞)", "[−1,+∞)"], ["(−1, ∞)", "[1, ∞)"]),
    (r"x \le 4", ["x ≤ 4", "x ⩽ 4", "4 ≥ x", r"(-\infty, 4]"], ["x ≥ 4", "x < 4"]),
    (r"\pm 5", ["±5", "5, −5"], ["5", "−5", "∓4"]),
    ("35", ["5×7", "5·7", "5 ⋅ 7", "5∗7"], ["5+7", "57"]),
]

UNITS: Rows = [
    (
        "24",
        [
            r"24 \text{ cm}",
            r"24\mathrm{~m}",
            r"24~\mathrm{cm}^2",
            "24 cm",
            "24cm",
            r"24\,\text{cm}",
            r"24 \textrm{ feet}",
            r"24 \mbox{ inches}",
            "24 ft",
            "24 m",
            "24 m/s",
            "24 square units",
            "24 units^2",
            r"24 \text{ m}^3",
            "24 apples",
            r"24 \text{ red apples}",
            "24 days",
            "24 hours.",
            r"\text{24 hours}",
            r"24\ \text{cm}",
            "24 people",
            r"24\operatorname{cm}",
            "24 kg m",
            r"24 \frac{\text{m}}{\text{s}}",
            r"\text{about } 24",
            "24 ways",
        ],
        [r"42 \text{ cm}", "2 cm", "24k", "24x", "2400 cm", r"24^2 \text{ cm}"],
    ),
    (
        r"15 \text{ km}",
        ["15", "15 km", "15 kilometers", r"15\text{ kilometres}"],
        [r"15 \text{ m}", "15 miles", "51 km"],
    ),
    (
        r"9\text{ cm}^2",
        ["9", "9 cm^2", "9 square centimeters", r"9 \mathrm{~cm}^{2}", "9 sq cm"],
        [r"9 \text{ m}^2", "90"],
    ),
    (
        r"30^\circ",
        ["30", "30 degrees", r"30^{\circ}", r"30 \text{ degrees}", r"30\,^\circ"],
        [r"60^\circ", "30 radians"],
    ),
    (
        r"\$7.50",
        ["7.5", "7.50", r"\$7.5", "7.50 dollars", "USD 7.50", "7.50 USD", r"7.50\text{ dollars}"],
        [r"\$75", r"\$7.05", "750"],
    ),
    (r"\frac{90}{7} \text{ meters}", [r"\frac{90}{7}", "90/7 m", r"12\frac{6}{7}"], [r"\frac{7}{90}", "12"]),
    (r"18\pi", [r"18\pi \text{ cm}^2", r"18\pi\text{ square inches}", "18π cm²"], ["18", r"81\pi", r"18\pi^2"]),
    ("5m", ["5m", "5 m", r"m \cdot 5"], ["5", "5n", "m"]),
    (r"\frac{1}{m}t", [r"\frac{t}{m}", "t/m"], [r"\frac{1}{m}", r"\frac1t m"]),
    (r"2k", ["2k", r"k+k"], ["2", "2k+1", "k"]),
    ("25 mph", ["25", "25 mph", r"25 \text{ mph}"], ["52 mph"]),
    ("12", ["12th", r"12^{\text{th}}", "12 inches", "12 in", "1 dozen"], ["21st", "12^2", "2"]),
]

TYPOGRAPHY: Rows = [
    (
        "26",
        [
            "26.",
            "26,",
            "26;",
            r"26\\",
            r"26\ ",
            "**26**",
            "*26*",
            "`26`",
            r"\boxed{26}",
            r"\fbox{26}",
            r"\underline{26}",
            r"\mathbf{26}",
            r"\textbf{26}",
            r"\bm{26}",
            r"\boldsymbol{26}",
            r"\displaystyle 26",
            r"\large 26",
            r"\;26\;",
            r"\quad 26",
            "{26}",
            "(26)",
            r"\left(26\right)",
            r"\color{red}{26}",
            r"\textcolor{blue}{26}",
            "= 26",
            "x=26",
            "26\n",
            r"\[26\]",
            "$$26$$",
            r"\text{26}",
            r"\mathrm{26}",
            r"26\,",
            r"26 \quad",
            r"\mathbf{\boxed{26}}",
        ],
        ["62", "2 6", "2.6", "26_", "**62**", r"2\\6"],
    ),
    (
        r"\frac{a+b}{2}",
        [
            r"\dfrac{a+b}{2}",
            r"\displaystyle\frac{a+b}{2}",
            "(a+b)/2",
            r"\frac12(a+b)",
            r"\\frac{a+b}{2}",
            r"\frac{1}{2}\left(a+b\right)",
        ],
        [r"a+\frac b2", "ab/2", r"\frac{a-b}{2}", r"\frac{A+B}{2}"],
    ),
    (r"\left(3,\frac12\right)", ["(3,1/2)", r"\bigl(3, \tfrac12\bigr)", "(3.0, 0.5)"], ["(1/2,3)", "3,1/2", "(3)"]),
]

BASES: Rows = [
    (
        "2041_6",
        [
            "2041_{6}",
            "2041",
            r"2041_{\text{six}}",
            r"2041_{six}",
            "2041₆",
            r"2041 \text{ (base 6)}",
            "2041 base 6",
            r"(2041)_6",
            r"2041_{(6)}",
            r"2041_{\text{base }6}",
        ],
        ["2041_7", "2041_5", "2041_{10}", "457", "457_{10}", "2014_6", "1_6"],
    ),
    (r"1101_{2}", ["1101_2", "1101", r"1101_{\text{two}}", "1101_{binary}"], ["13", "1101_3", "1011_2"]),
    ("3AB_{16}", ["3AB_{16}", "3AB"], ["3AB_{12}", "3BA_{16}", "939"]),
    ("457", ["457", "457_{10}"], ["457_8", "711_8", "2041_6"]),
]

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
    (r"\int_0^1 f(x) dx", [r"\int_0^1 f(x)\,dx", r"\int_{0}^{1} f(x) \, dx"], [r"\int_0^2 f(x) dx", "f(x)"]),
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

TABLES = {
    "numbers": NUMBERS,
    "e-notation": E_NOTATION,
    "thousands": THOUSANDS,
    "percent": PERCENT,
    "unicode": UNICODE,
    "units": UNITS,
    "typography": TYPOGRAPHY,
    "bases": BASES,
    "several": SEVERAL,
    "intervals": INTERVALS,
    "vectors": VECTORS,
    "odd": ODD,
    "expressions": EXPRESSIONS,
    "tiny": TINY,
}


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(timeout=30) as grader:
        yield grader
        assert (grader.timeouts, grader.crashes) == (0, 0)


def is_right(grader: Grader, answer: str, reference: str) -> bool:
    return grader.grade(extract_answer(f"The answer is $\\boxed{{{answer}}}$."), reference).symbolic


@pytest.mark.parametrize("kind", TABLES)
def test_right_answers_count(kind: str, grader: Grader) -> None:
    rows = [(reference, answer) for reference, right, _ in TABLES[kind] for answer in [reference, *right]]
    assert [row for row in rows if not is_right(grader, row[1], row[0])] == []


@pytest.mark.parametrize("kind", TABLES)
def test_wrong_answers_do_not_count(kind: str, grader: Grader) -> None:
    rows = [(reference, answer) for reference, _, wrong in TABLES[kind] for answer in wrong]
    assert [row for row in rows if is_right(grader, row[1], row[0])] == []


def test_there_are_pairs_enough() -> None:
    assert sum(len(right) + len(wrong) for rows in TABLES.values() for _, right, wrong in rows) >= 300
