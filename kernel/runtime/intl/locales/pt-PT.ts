/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
import { pt } from "./pt.ts";

export const ptPT: LocaleTable = addLocale(
  "pt-PT",
  `
dNd={d}/{M22}
dSd={d}/{M22}
dyN={M22}/{y}
dyNd={d}/{M22}/{y}
dyS={M22}/{y}
dySd={d}/{M22}/{y}
l6=domingo|segunda|terça|quarta|quinta|sexta|sábado
dwNd={w567}, {d}/{M22}
dwSd={w567}, {d}/{M22}
dwyN={M22}/{y} {w567}
dwyNd={w567}, {d}/{M22}/{y}
dwyS={M22}/{y} {w567}
dwySd={w567}, {d}/{M22}/{y}
dwGyMd={w567}, {d22}/{M22}/{y} {G334}
dmedium={d22}/{M22}/{y11}
dshort={d22}/{M22}/{y22}
l8=a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|a.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.|p.m.
gmt=GMT|+|-|:|UTC|Hora Coordenada Universal
zs=CET=CET,CEST=CEST,EET=EET,EEST=EEST,WET=WET,WEST=WEST,Africa/Algiers=?,Africa/Cairo=?,Africa/Ceuta=?,Africa/Tripoli=?,Africa/Tunis=?,Asia/Amman=?,Asia/Beirut=?,Asia/Damascus=?,Asia/Famagusta=?,Asia/Gaza=?,Asia/Hebron=?,Asia/Nicosia=?,Atlantic/Azores=?,Atlantic/Canary=?,Atlantic/Faroe=?,Atlantic/Madeira=?
zl=GMT=Hora de Greenwich,HST=Hora padrão do Havai e Aleutas,HDT=Hora de verão do Havai e Aleutas,AKST=Hora padrão do Alasca,AKDT=Hora de verão do Alasca,AST=Hora padrão do Atlântico,EST=Hora padrão oriental norte-americana,CST=Hora padrão central norte-americana,CDT=Hora de verão central norte-americana,MST=Hora padrão de montanha norte-americana,MDT=Hora de verão de montanha norte-americana,PST=Hora padrão do Pacífico norte-americana,PDT=Hora de verão do Pacífico norte-americana,EDT=Hora de verão oriental norte-americana,ADT=Hora de verão do Atlântico,CET=Hora padrão da Europa Central,CEST=Hora de verão da Europa Central,EET=Hora padrão da Europa Oriental,EEST=Hora de verão da Europa Oriental,IST=Hora de verão da Irlanda,BST=GMT+01:00,WET=Hora padrão da Europa Ocidental,WEST=Hora de verão da Europa Ocidental,America/Ciudad_Juarez=?,Europe/London=?
pr=other:one=other other:many=other one:many=other many:one=other many:many=other
cunit:narrow= e |, | e 
rlong:second=dentro de {n} segundo|dentro de {n} segundos|dentro de {n} segundos;há {n} segundo|há {n} segundos|há {n} segundos;0:agora
rshort:second=dentro de {n} s;há {n} s;0:agora
rnarrow:second=+{n} s;-{n} s;0:agora
rlong:minute=dentro de {n} minuto|dentro de {n} minutos|dentro de {n} minutos;há {n} minuto|há {n} minutos|há {n} minutos;0:este minuto
rshort:minute=dentro de {n} min;há {n} min;0:este minuto
rnarrow:minute=+{n} min;-{n} min;0:este minuto
rlong:hour=dentro de {n} hora|dentro de {n} horas|dentro de {n} horas;há {n} hora|há {n} horas|há {n} horas;0:esta hora
rshort:hour=dentro de {n} h;há {n} h;0:esta hora
rnarrow:hour=+{n} h;-{n} h;0:esta hora
rlong:day=dentro de {n} dia|dentro de {n} dias|dentro de {n} dias;há {n} dia|há {n} dias|há {n} dias;-2:anteontem|-1:ontem|0:hoje|1:amanhã|2:depois de amanhã
rshort:day=dentro de {n} dia|dentro de {n} dias|dentro de {n} dias;há {n} dia|há {n} dias|há {n} dias;-2:anteontem|-1:ontem|0:hoje|1:amanhã|2:depois de amanhã
rnarrow:day=+{n} dia|+{n} dias|+{n} dias;-{n} dia|-{n} dias|-{n} dias;-2:anteontem|-1:ontem|0:hoje|1:amanhã|2:depois de amanhã
rlong:week=dentro de {n} semana|dentro de {n} semanas|dentro de {n} semanas;há {n} semana|há {n} semanas|há {n} semanas;-1:semana passada|0:esta semana|1:próxima semana
rshort:week=dentro de {n} sem.;há {n} sem.;-1:semana passada|0:esta semana|1:próxima semana
rnarrow:week=+{n} sem.;-{n} sem.;-1:semana passada|0:esta semana|1:próxima semana
rlong:month=dentro de {n} mês|dentro de {n} meses|dentro de {n} meses;há {n} mês|há {n} meses|há {n} meses;-1:mês passado|0:este mês|1:próximo mês
rshort:month=dentro de {n} mês|dentro de {n} meses|dentro de {n} meses;há {n} mês|há {n} meses|há {n} meses;-1:mês passado|0:este mês|1:próximo mês
rnarrow:month=+{n} mês|+{n} meses|+{n} meses;-{n} mês|-{n} meses|-{n} meses;-1:mês passado|0:este mês|1:próximo mês
rlong:quarter=dentro de {n} trimestre|dentro de {n} trimestres|dentro de {n} trimestres;há {n} trimestre|há {n} trimestres|há {n} trimestres;-1:trimestre passado|0:este trimestre|1:próximo trimestre
rshort:quarter=dentro de {n} trim.;há {n} trim.;-1:trim. passado|0:este trim.|1:próximo trim.
rnarrow:quarter=+{n} trim.;-{n} trim.;-1:trim. passado|0:este trim.|1:próximo trim.
rlong:year=dentro de {n} ano|dentro de {n} anos|dentro de {n} anos;há {n} ano|há {n} anos|há {n} anos;-1:ano passado|0:este ano|1:próximo ano
rshort:year=dentro de {n} ano|dentro de {n} anos|dentro de {n} anos;há {n} ano|há {n} anos|há {n} anos;-1:ano passado|0:este ano|1:próximo ano
rnarrow:year=+{n} ano|+{n} anos|+{n} anos;-{n} ano|-{n} anos|-{n} anos;-1:ano passado|0:este ano|1:próximo ano
nsym=,| |-|+|E|NaN|∞|2
nc:={n} {c}
nc:-={-}{n} {c}
nc:+={-}{n} {c}
nC:={n} {c}
nC:-={-}{n} {c}
nC:+={-}{n} {c}
na:={n} {c}
na:-=({n} {c})
na:+={-}{n} {c}
nA:={n} {c}
nA:-=({n} {c})
nA:+={-}{n} {c}
kshort=3;{n} {k:mil}|||6;{n} {k:M}|||9;{n} {k:mM}|||12;{n} {k:Bi}|||||||
klong=3;{n} {k:mil}|||6;{n} {k:milhão};{n} {k:milhões};{n} {k:milhões}|6;{n} {k:milhões}||9;{n} {k:mil milhões}|||12;{n} {k:bilião};{n} {k:biliões};{n} {k:biliões}|12;{n} {k:biliões}||||||
ushort:acre={n} {u:acre}|{n} {u:acres}|{n} {u:acres}
ushort:bit={n} {u:bit}
ushort:byte={n} {u:byte}
unarrow:celsius={n}{u:°C}
ushort:degree={n}{u:°}|{n} {u:°}|{n} {u:°}
unarrow:degree={n}{u:°}
ulong:kilometer={n} {u:quilómetro}|{n} {u:quilómetros}|{n} {u:quilómetros}
ulong:kilometer-per-hour={n} {u:quilómetro por hora}|{n} {u:quilómetros por hora}|{n} {u:quilómetros por hora}
ushort:mile-per-hour={n} {u:mi/h}
ulong:liter-per-kilometer={n} {u:litro por quilómetro}|{n} {u:litros por quilómetro}|{n} {u:litros por quilómetro}
$AED=||dirham dos Emirados Árabes Unidos|sdirham dos Emirados Árabes Unidos|sdirham dos Emirados Árabes Unidos
$ALL=||lek albanês|leks albaneses|leks albaneses
$AMD=|֏|dram arménio|drams arménios|drams arménios
$ARS=|$|peso argentino|pesos argentinos|pesos argentinos
$AUD=AU$|$|dólar australiano|dólares australianos|dólares australianos
$AZN=|₼|manat azeri|manats azeris|manats azeris
$BAM=|KM|marco bósnio-herzegóvino conversível|marcos bósnio-herzegóvinos conversíveis|marcos bósnio-herzegóvinos conversíveis
$BDT=|৳|taka bengali|takas bengalis|takas bengalis
$BGN=||lev búlgaro|levs búlgaros|levs búlgaros
$BHD=||dinar baremita|dinares baremitas|dinares baremitas
$BRL=R$||real brasileiro|reais brasileiros|reais brasileiros
$BYN=|р.|rublo bielorrusso|rublos bielorrussos|rublos bielorrussos
$CAD=CA$|$|dólar canadiano|dólares canadianos|dólares canadianos
$CHF=||franco suíço|francos suíços|francos suíços
$CLP=|$|peso chileno|pesos chilenos|pesos chilenos
$CNY=CN¥|¥|yuan|yuans|yuans
$COP=|$|peso colombiano|pesos colombianos|pesos colombianos
$CRC=|₡|colon costa-riquenho|colons costa-riquenho|colons costa-riquenho
$CZK=|Kč|coroa checa|coroas checas|coroas checas
$DKK=|kr|coroa dinamarquesa|coroas dinamarquesas|coroas dinamarquesas
$DZD=||dinar argelino|dinares argelinos|dinares argelinos
$EGP=|E£|libra egípcia|libras egípcias|libras egípcias
$EUR=€||euro|euros|euros
$GBP=£||libra esterlina britânica|libras esterlinas britânicas|libras esterlinas britânicas
$GEL=|₾|lari georgiano|laris georgianos|laris georgianos
$GHS=|GH₵|cedi ganês|cedis ganeses|cedis ganeses
$HKD=HK$|$|dólar de Hong Kong|dólares de Hong Kong|dólares de Hong Kong
$HUF=|Ft|forint húngaro|forints húngaros|forints húngaros
$IDR=|Rp|rupia indonésia|rupias indonésias|rupias indonésias
$ILS=₪||sheqel novo israelita|sheqels novos israelitas|sheqels novos israelitas
$INR=₹||rupia indiana|rupias indianas|rupias indianas
$IQD=||dinar iraquiano|dinares iraquianos|dinares iraquianos
$ISK=|kr|coroa islandesa|coroas islandesas|coroas islandesas
$JOD=||dinar jordaniano|dinares jordanianos|dinares jordanianos
$JPY=JP¥|¥|iene japonês|ienes japoneses|ienes japoneses
$KES=||xelim queniano|xelins quenianos|xelins quenianos
$KRW=₩||won sul-coreano|wons sul-coreano|wons sul-coreano
$KWD=||dinar kuwaitiano|dinares kuwaitianos|dinares kuwaitianos
$KZT=|₸|tenge cazaque|tenges cazaques|tenges cazaques
$LBP=|L£|libra libanesa|libras libanesas|libras libanesas
$LKR=|Rs|rupia do Sri Lanka|rupias do Sri Lanka|rupias do Sri Lanka
$MAD=||dirham marroquino|dirhams marroquinos|dirhams marroquinos
$MDL=||leu moldavo|leus moldavos|leus moldavos
$MKD=||dinar macedónio|dinares macedónios|dinares macedónios
$MXN=MX$|$|peso mexicano|pesos mexicanos|pesos mexicanos
$MYR=|RM|ringgit malaio|ringgits malaios|ringgits malaios
$NGN=|₦|naira nigeriana|nairas nigerianas|nairas nigerianas
$NOK=|kr|coroa norueguesa|coroas norueguesas|coroas norueguesas
$NZD=NZ$|$|dólar neozelandês|dólares neozelandeses|dólares neozelandeses
$OMR=||rial omanense|riais omanenses|riais omanenses
$PEN=||sol peruano|sóis peruanos|sóis peruanos
$PHP=|₱|peso filipino|pesos filipinos|pesos filipinos
$PKR=|Rs|rupia paquistanesa|rupias paquistanesas|rupias paquistanesas
$PLN=|zł|zloti polaco|zlotis polacos|zlotis polacos
$PTE=​|
$QAR=||rial catarense|riais catarenses|riais catarenses
$RON=|L|leu romeno|leus romenos|leus romenos
$RSD=||dinar sérvio|dinares sérvios|dinares sérvios
$RUB=|₽|rublo russo|rublos russos|rublos russos
$SAR=||rial saudita|riais sauditas|riais sauditas
$SEK=|kr|coroa sueca|coroas suecas|coroas suecas
$SGD=|$|dólar singapuriano|dólares singapurianos|dólares singapurianos
$SYP=|£
$THB=฿||baht tailandês|bahts tailandeses|bahts tailandeses
$TND=||dinar tunisino|dinares tunisinos|dinares tunisinos
$TRY=|₺|lira turca|liras turcas|liras turcas
$TWD=NT$||novo dólar taiwanês|novos dólares taiwaneses|novos dólares taiwaneses
$TZS=||xelim tanzaniano|xelins tanzanianos|xelins tanzanianos
$UAH=|₴|hryvnia ucraniano|hryvnias ucranianos|hryvnias ucranianos
$UGX=||xelim ugandense|xelins ugandenses|xelins ugandenses
$USD=US$|$|dólar dos Estados Unidos|dólares dos Estados Unidos|dólares dos Estados Unidos
$UYU=|$|peso uruguaio|pesos uruguaios|pesos uruguaios
$UZS=||som uzbeque|somes uzbeques|somes uzbeques
$VND=₫||dong vietnamita|dongs vietnamitas|dongs vietnamitas
$XAF=FCFA||franco CFA (BEAC)|francos CFA (BEAC)|francos CFA (BEAC)
$XOF=F CFA||franco CFA (BCEAO)|francos CFA (BCEAO)|francos CFA (BCEAO)
$ZAR=|R|rand sul-africano|rands sul-africanos|rands sul-africanos
regions=
unarrow:acre
ulong:acre
unarrow:fluid-ounce
unarrow:gram
unarrow:kilogram
unarrow:liter
unarrow:kilometer-per-hour
`,
  pt,
);
