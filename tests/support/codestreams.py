"""Compressed frames that no encoder at hand makes: drawn by a formula, encoded once by imagecodecs.

40 × 48 pixels, 12 bits. `RAMP` for the lossless ones, `SLOPE` for the lossy one.
"""

from __future__ import annotations

import base64

import numpy as np

_Y, _X = np.mgrid[:40, :48]
RAMP = ((_X * 60 + _Y * 33) % 4096).astype(np.uint16)
SLOPE = (_X * 50 + _Y * 40).astype(np.uint16)

HTJ2K = base64.b85decode(
    r"|4;u>04YEK0000m0000e00000000000000m0000e0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&"
    r"kdTm&kdTmwh=~7W02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*000017ytqPlfVEg0963n_e1c>=K{kt0KfnfKmZc}hlc?RbO7b}"
    r"00J}szyK9c00i&=1b|3X!ia*8;)`|wWhnq8cU1uXfCB))02QzR1$+PjAR<JF5TW7Rf;w^ncK|F|vSi7U<n$QcF@e6g0Qz8b0Kfni"
    r"oB#oBKmZbe3=9km3=9km42<*mdU|?sf_VUv5{X12kw_#GiRAxG0SF6yh(LSxApz{a0RLbxRRF*ME`k67b<h9`fVOShwr$(CZQHhO"
    r"+qP}T;r)NW1bTXUdU|?#dT@ep0YCr%000000000000000004;I|9x;2AZPXvf$!Kt2ftwm9{q$Md-f24?7IQ~fB$|Ea8>~S*#"
)

JPEG_EXTENDED_12_BIT = base64.b85decode(
    r"|JeWF01!$>Nk#wx0RR9200961|JwjV009930RaI40RaI40RaI40s#R50RaL50RaL60s;a80s;a90|WyD0|NsB0s{mC0|W#F1Ox&D"
    r"1qB2I1q1{H1pmPR3k(1#05Aao5di<h02KfM0RR9100000000000000C4*$de8xQ~i1Oos70000000000000UACpSe@Vsro600;pA"
    r"002J#iPr}KCWqTR8jgCVKm&l2L+zdoM?F&@0l-P2_Rj{Ro~e)k;3UxdXM<7CRLB5u5@>z1!Kmk|WB@n`G(Oqj)N|EEzk`62L+zdo"
    r"M?F&@0l-P2_Rj{Ro~e)k;3UxdXM<7CRLB5u5@>z1!Kmk|WB@n`G(Oqj)N|D`02~CGA8hbyIqIU{!N5tO_Rj{Ro~e)k;3UxdXM<7C"
    r"RLB5u5@>z1!Kmk|WB@n`G(Oqj)N|D`02~CGA8hbyIqI1J4gyUNws<uh^-*u&;3UxdXM<7CRLB5u5@>z1!Kmk|WB@n`G(Oqj)N|D`"
    r"02~CGA8hbyIqI1J4gyUNws<uh^-O>V0VaprJQ|LAsJHNN5@>z1!Kmk|WB@n`G(Oqj)N|D`02~CGA8hbyIqI1J4gyUNws<uh^-O>V"
    r"0VaprJQ|LAra%LLlSA#E4M#m!|Je"
)

JPEG_LOSSLESS = base64.b85decode(
    r"|JeV;02TlN0RaF20000000000000051`Pkh01FHNC;%`401*KH+5iXv000I60MGvbd3kwxd3kwxd3kwxd3kwxd3kwxd3kwxd3kwx"
    r"d3kwxd3kwxd3kwxd3kwxd3kw4iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYWcqKYV@iYTIrD58oeqKYV@iYTIrD58oe"
    r"qKYV@iYTIrD58oqD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIu3MitAD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oe"
    r"qKYV^LW(G&iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oe(4vYcqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrG$^8q"
    r"D58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@jS48DiYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqe6-(qKYV@iYTIr"
    r"D58oeqKYV@iYTIrD58oeqKYV@iYTIrDA1ycD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iZm#qiYTIrD58oeqKYV@iYTIr"
    r"D58oeqKYV@iYTIrD58oeqKyhDqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD5FA(D58oeqKYV@iYTIrD58oeqKYV@iYTIr"
    r"D58oeqKYV@iYU;ciYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKY&qqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIr"
    r"D58xDD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTK(iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYWcqKYV@"
    r"iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oqD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIu3MitAD58oeqKYV@"
    r"iYTIrD58oeqKYV@iYTIrD58oeqKYV^LW(G&iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oe(4vYcqKYV@iYTIrD58oeqKYV@"
    r"iYTIrD58oeqKYV@iYTIrG$^8qD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@jS48DiYTIrD58oeqKYV@iYTIrD58oeqKYV@"
    r"iYTIrD58oeqe6-(qKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrDA1ycD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@"
    r"iZm#qiYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKyhDqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD5FA(D58oe"
    r"qKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYU;ciYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKY&qqKYV@iYTIrD58oe"
    r"qKYV@iYTIrD58oeqKYV@iYTIrD58xDD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTK(iYTIrD58oeqKYV@iYTIrD58oe"
    r"qKYV@iYTIrD58oeqKYWcqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oqD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oe"
    r"qKYV@iYTIu3MitAD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV^LW(G&iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oe"
    r"(4vYcqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV@iYTIrG$^8qD58oeqKYV@iYTIrD58oeqKYV@iYTIrD58oeqKYV^fI$D*"
)

JPEG_LS = base64.b85decode(
    r"|JeWN03cIPNk&Eh0ssI30000e0000m3J?YX0003j0003j|L6b+00001|JeWc01FTRC;%`40TBTI_y7$7|Nj6I07C&306_oR00;pA"
    r"00000qr7*H@z!&W@z!&kZT8z;rq5-u*lYW{dpi2MdO7*Ic{upEcsKXAcQ*F6c6K%O^|gB96hep*^m#g*O{SA6g>_|BMKvWA1oY(8"
    r")WwR`s#K*)l`0e{P@Ot->C+}mnKB_vnJQGNQl(0&swkq0D58oeqG_g@X{MTKrkZIal1U_zNhFd;fl5-8r70;&Qk11BN>Y@iDN0h5"
    r"r722PRaFrY5g$ZEL_|bHL_|bHM3PA)l1U_zNhFcvl1WunRaI40RagHVfB%2~fB$oj|9}5~|9)-%fB%2~f6YJtfB%2~d6)lx|9}5~"
    r"F#mu5fB%2$zyE*#fB$;V|9}5~|9-3gfB%2~f2jX||9}5~>A(Mf|9}5_Pyc`afB$}q|9}5~|9_zWfB%2~f9JpdfB%2~dC&iU|9}5}"
    r"YyW@$fB%1)|9}5~|9|E`|9}5~|9c<*fB%2~eQ*DN|9}5}xBq|tfB%0||9}5~|9`3ffB%2~f71Vd|9}5~>3{!!|9}5<zyE*#fB$-4"
    r"|9}5~|9ubtfB%2~euw{m|9}5~L;rvOfB%1>|9}5~|9{T^fB%2~f9HSyfB%2~U;qFB001NY0RPz"
)
