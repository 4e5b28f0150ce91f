/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { es } from "./es.ts";

export const esMX: LocaleTable = addLocale(
  "es-MX",
  `
cycle=h12
dMd={d}/{M}
dNd/2={d22}-{N0}
l1=ene|feb|mar|abr|may|jun|jul|ago|sep|oct|nov|dic
dSd/2={d22}-{N1}
dLd/2={d22}-{N2}
dyM={M}/{y}
l3=a.C.|d.C.
l5=D|L|M|M|J|V|S
dwNd={w567} {d} de {N0}
dwSd={w567} {d} de {N1}
dwyM={M}/{y} {w567}
dshort={d22}/{M22}/{y22}
tsf={s11}.{f}
tsfz={s11}.{f} {z}
tmsf={m22}:{s22}.{f}
tmsfz={m22}:{s22}.{f} {z}
l8=a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.
t24h={h22}
t24hm={h22}:{m22}
t24hmz={h22}:{m22} {z}
t24hms={h22}:{m22}:{s22}
t24hmsz={h22}:{m22}:{s22} {z}
t12hmsf={h}:{m22}:{s22}.{f} {a8}
t24hmsf={h22}:{m22}:{s22}.{f}
t12hmsfz={h}:{m22}:{s22}.{f} {a8} {z}
t24hmsfz={h22}:{m22}:{s22}.{f} {z}
t24full={h22}:{m22}:{s22} {z}
t24long={h22}:{m22}:{s22} {z}
t24medium={h22}:{m22}:{s22}
t24short={h22}:{m22}
gw:12hm= 
gw:24hm= 
gw:12hms= 
gw:24hms= 
gmt=GMT|+|-|:|UTC|hora universal coordinada
zs=
zl=GMT=hora del meridiano de Greenwich,HST=hora estándar de Hawái-Aleutianas,HDT=hora de verano de Hawái-Aleutianas,AKST=hora estándar de Alaska,AKDT=hora de verano de Alaska,AST=hora estándar del Atlántico,EST=hora estándar oriental,CST=hora estándar central,CDT=hora de verano central,MST=hora estándar de la montaña,MDT=hora de verano de la montaña,PST=hora estándar del Pacífico,PDT=hora de verano del Pacífico,EDT=hora de verano oriental,ADT=hora de verano del Atlántico,CET=hora estándar de Europa central,CEST=hora de verano de Europa central,EET=hora estándar de Europa oriental,EEST=hora de verano de Europa oriental,IST=hora estándar de Irlanda,BST=GMT+01:00,WET=hora estándar de Europa occidental,WEST=hora de verano de Europa occidental,America/Ciudad_Juarez=?,Europe/London=?
rshort:second=en {n} s;hace {n} s;0:ahora
rshort:hour=en {n} h;hace {n} h;0:esta hora
rshort:day=en {n} día|en {n} días|en {n} días;hace {n} día|hace {n} días|hace {n} días;-2:anteayer|-1:ayer|0:hoy|1:mañana|2:pasado mañana
rlong:week=dentro de {n} semana|dentro de {n} semanas|dentro de {n} semanas;hace {n} semana|hace {n} semanas|hace {n} semanas;-1:la semana pasada|0:esta semana|1:la semana próxima
rshort:week=en {n} sem.;hace {n} sem.;-1:sem. pas.|0:esta sem.|1:próx. sem.
rlong:month=en {n} mes|en {n} meses|en {n} meses;hace {n} mes|hace {n} meses|hace {n} meses;-1:el mes pasado|0:este mes|1:el mes próximo
rshort:month=en {n} m;hace {n} m;-1:el mes pasado|0:este mes|1:el mes próximo
rlong:quarter=en {n} trimestre|dentro de {n} trimetres|dentro de {n} trimetres;hace {n} trimestre|hace {n} trimestres|hace {n} trimestres;-1:el trimestre pasado|0:este trimestre|1:el próximo trimestre
rshort:quarter=en {n} trim.|en {n} trim|en {n} trim;hace {n} trim.;-1:el trimestre pasado|0:este trimestre|1:el próximo trimestre
rnarrow:quarter=en {n} trim.;hace {n} trim.;-1:el trimestre pasado|0:este trimestre|1:el próximo trimestre
rlong:year=dentro de {n} año|dentro de {n} años|dentro de {n} años;hace {n} año|hace {n} años|hace {n} años;-1:el año pasado|0:este año|1:el año próximo
rshort:year=en {n} a;hace {n} a;-1:el año pasado|0:este año|1:el año próximo
nsym=.|,|-|+|E|NaN|∞|1
np:={n}{%}
np:-={-}{n}{%}
np:+={-}{n}{%}
nc:={c}{n}
nc:-={-}{c}{n}
nc:+={-}{c}{n}
nC:={c} {n}
nC:-={-}{c} {n}
nC:+={-}{c} {n}
na:={c}{n}
na:-={-}{c}{n}
na:+={-}{c}{n}
nA:={c} {n}
nA:-={-}{c} {n}
nA:+={-}{c} {n}
kshort=3;{n} {k:k}|||6;{n} {k:M}||||9;{n} {k:mil M}||12;{n} {k:B}|||||||
ushort:byte={n} {u:B}|{n} {u:byte}|{n} {u:byte}
unarrow:centimeter={n} {u:cm}|{n}{u:cm}|{n}{u:cm}
ushort:day={n} {u:día}|{n} {u:días}|{n} {u:días}
ushort:degree={n} {u:grados}
unarrow:gigabyte={n} {u:GB}|{n}{u:GB}|{n}{u:GB}
unarrow:kilobit={n} {u:kb}|{n}{u:kb}|{n}{u:kb}
unarrow:kilogram={n} {u:kg}|{n}{u:kg}|{n}{u:kg}
unarrow:kilometer={n} {u:km}|{n}{u:km}|{n}{u:km}
unarrow:mile-scandinavian={n}{u:mi esc.}
unarrow:milliliter={n}{u:ml}
unarrow:millimeter={n} {u:mm}|{n}{u:mm}|{n}{u:mm}
ushort:month={n} {u:m.}|{n} {u:m}|{n} {u:m}
unarrow:terabit={n} {u:Tb}|{n}{u:Tb}|{n}{u:Tb}
unarrow:terabyte={n} {u:TB}|{n}{u:TB}|{n}{u:TB}
ushort:week={n} {u:sem.}|{n} {u:sem}|{n} {u:sem}
$BYN=|p.|rublo bielorruso|rublos bielorrusos|rublos bielorrusos
$EGP=|E£|libra egipcia|libras egipcias|libras egipcias
$EUR=|€|euro|euros|euros
$KZT=|₸|tenge kazajo|tengues kazajos|tengues kazajos
$MRO=MRU|
$MRU=UM|
$MXN=$||peso mexicano|pesos mexicanos|pesos mexicanos
$RON=|lei|leu rumano|lei rumanos|lei rumanos
$THB=|฿|baht tailandés|bahts tailandeses|bahts tailandeses
$USD=|$|dólar estadounidense|dólares estadounidenses|dólares estadounidenses
$UZS=||som uzbeko|soms uzbekos|soms uzbekos
$VND=|₫|dong vietnamita|dongs vietnamitas|dongs vietnamitas
regions=
dwyNd/n11
dwyNd/n12
dwyNd/n21
dwyNd/n22
dwyNd/s11
dwyNd/s12
dwyNd/s21
dwyNd/s22
dwySd/n11
dwySd/n12
dwySd/n21
dwySd/n22
dwySd/s11
dwySd/s12
dwySd/s21
dwySd/s22
t24hmsz/111l
t24hmsz/112l
t24hmsz/112S
t24hmsz/121l
t24hmsz/121S
t24hmsz/122l
t24hmsz/122S
t24hmsz/122L
t24hmsz/211l
t24hmsz/212l
t24hmsz/212S
t24hmsz/221l
t24hmsz/221S
t24hmsz/222l
t24hmsz/222S
t24hmsz/222L
t24hmsfz/111l
t24hmsfz/112l
t24hmsfz/112S
t24hmsfz/121l
t24hmsfz/121S
t24hmsfz/122l
t24hmsfz/122S
t24hmsfz/122L
t24hmsfz/211l
t24hmsfz/212l
t24hmsfz/212S
t24hmsfz/221l
t24hmsfz/221S
t24hmsfz/222l
t24hmsfz/222S
t24hmsfz/222L
ulong:day
`,
  es,
);
