create table if not exists orders (
  number varchar(20) primary key,
  customer varchar(40) not null,
  cents bigint not null,
  message varchar(255) not null unique,
  booked timestamp(6) not null default current_timestamp(6)
);
