-- For development only (SEED=dev): admin@example.com, whose password is verysecret.
insert into users (email, first_name, last_name, password, user_active)
values ('admin@example.com', 'Admin', 'User',
	'$2b$12$NsjSgtkT/69ijGr5sxUV4OOWRudzX9Nmu3aDd9Eu4GdnrIviBSDrm', 1)
on conflict do nothing;
