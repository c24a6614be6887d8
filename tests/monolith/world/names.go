package world

import (
	"fmt"
	"strings"
)

var firstNames = strings.Fields(`
	Aaliyah Aaron Adaeze Agnieszka Ahmed Aiko Alejandro Alice Amara Amelia Ana Anders Andrea Anna Antoine Arjun Astrid
	Ayşe Beatriz Ben Björn Camila Carlos Catherine Céline Chiara Chidi Chloé Clara Daniel Daria David Deepa Diego Dmitri
	Eleanor Elena Elif Emeka Emil Emma Erik Esther Fatima Felix Fernando Finn Frances Freya Gabriel George Giulia Grace
	Greta Hana Hannah Hassan Helen Henrik Hiroshi Hugo Ibrahim Ines Ingrid Isabel Ivan Jack Jakub James Jana Javier Jin
	João Johanna John Julia Jürgen Kai Karolina Kateryna Kenji Kofi Kwame Lars Laura Layla Lea Leila Leon Li Liam Linh
	Lucas Lucía Ludmila Magnus Maja Malik Marco Margaret María Marie Mark Marta Mateo Matthew Maya Mei Mia Michael Miguel
	Mikael Min Mohammed Monika Nadia Naomi Natalia Ngozi Nia Nikolai Nina Noah Noor Nora Oksana Oliver Olivia Omar Oscar
	Pablo Patrick Paul Pedro Petra Pierre Priya Rachel Rafael Raj Rania Ravi Rebecca Ricardo Robert Rosa Ruth Samir Samuel
	Sara Sebastian Seo-yeon Siddharth Signe Simon Sofia Søren Stefan Sven Tamar Tariq Thabo Theo Thomas Tomasz Uma Valentina
	Vera Victor Vivian Wei William Xavier Yara Yasmin Youssef Yuki Yusuf Zainab Zeynep Zofia 芳 伟 さくら`)

var lastNames = strings.Fields(`
	Abe Abdullah Acheampong Adeyemi Ahmadi Almeida Andersson Andrade Bakker Banerjee Baptiste Barros Becker Bernard Bianchi
	Boateng Braun Brown Cardoso Carter Castillo Chatterjee Chen Choi Cohen Conti Costa Dahl Danso Das Davies Demir Diallo
	Diaz Doğan Dubois Dupont Eriksen Esposito Evans Fernandes Ferrari Fischer Fontaine Fofanah Fraser Fujimoto García Gomes
	González Greco Green Grünwald Gupta Haddad Hansen Hartmann Hassan Hernández Hill Hoffmann Horvat Huang Hughes Ibáñez
	Ivanova Iyer Jansen Jensen Johansson Johnson Jones Kamara Kaplan Kaya Keller Khan Kim Klein Kobayashi Koch Kovács
	Kowalska Kowalski Kumar Larsen Laurent Lee Lefèvre Lehmann Lewis Li Lim Lindqvist Liu López MacDonald Mahmoud Marino
	Martin Martínez Mbeki Meier Mendes Mensah Meyer Mitchell Moreau Moreno Müller Murphy Mwangi Nakamura Navarro Nguyen
	Nielsen Novák Nowak O'Brien Oduya Okafor Oliveira Olsen Ortiz Owusu Öztürk Papadopoulos Park Patel Pereira Petersen
	Petrov Pham Popescu Ramírez Rao Reyes Ricci Richter Rivera Robinson Rodríguez Romano Rossi Rousseau Ruiz Russo Sánchez
	Santos Sato Schmidt Schneider Schröder Scott Sharma Shevchenko Silva Singh Smith Sørensen Sousa Suzuki Takahashi Tanaka
	Taylor Thompson Torres Tran Tshabalala Turner Vargas Vasquez Vogel Wagner Walker Wang Weber Werner White Williams Wilson
	Wójcik Wolf Wood Wright Wu Yamamoto Yang Yılmaz Young Zhang Zimmermann`)

var companyHeads = strings.Fields(`
	Alder Amber Arcadia Atlas Aurora Baltic Beacon Birch Blue Borealis Bright Cedar Cobalt Compass Copper Coral Delta Ember
	Evergreen Falcon Fjord Forge Garnet Granite Harbour Helix Horizon Indigo Iron Ivory Juniper Kestrel Lantern Larch Lumen
	Maple Meridian Mistral Monsoon North Oak Onyx Orchard Orion Osprey Pine Pioneer Polar Quarry Quartz Raven Red River Saffron
	Sage Sierra Silver Solstice Spruce Sterling Summit Tidal Umber Vela Verdant Violet West Willow Zephyr`)

var companyTails = []string{
	"Analytics", "Architects", "Bakery", "Bank", "Biotech", "Capital", "Clinic", "Consulting", "Energy", "Engineering",
	"Foods", "Foundation", "Freight", "Gardens", "Health", "Hotels", "Insurance", "Interiors", "Labs", "Law", "Logistics",
	"Media", "Motors", "Partners", "Pharma", "Press", "Properties", "Records", "Robotics", "School", "Security", "Software",
	"Solar", "Studio", "Systems", "Telecom", "Textiles", "Travel", "Ventures", "Works",
}

var companyForms = []string{"", "", "", " Ltd", " GmbH", " Inc.", " S.A.", " AB", " & Co."}

var jobLevels = []string{"", "", "", "", "Senior ", "Lead ", "Junior ", "Head of ", "Deputy "}

var jobs = []string{
	"Accountant", "Account Manager", "Anaesthetist", "Architect", "Baker", "Biologist", "Buyer", "Carpenter", "Chef",
	"Civil Engineer", "Copywriter", "Customer Support", "Data Analyst", "Data Engineer", "Dentist", "Designer",
	"Electrician", "Event Planner", "Finance", "Florist", "General Practitioner", "Human Resources", "Illustrator",
	"Journalist", "Lawyer", "Librarian", "Logistics", "Machinist", "Marketing", "Mechanic", "Midwife", "Musician", "Nurse",
	"Operations", "Paralegal", "Pharmacist", "Photographer", "Physiotherapist", "Pilot", "Plumber", "Product Manager",
	"Project Manager", "Radiologist", "Receptionist", "Researcher", "Sales", "Security Engineer", "Site Reliability",
	"Social Worker", "Software Engineer", "Surveyor", "Tax Adviser", "Teacher", "Tour Guide", "Translator", "Veterinarian",
	"Warehouse Planner", "Web Developer", "Welder", "Writer",
}

var circleNames = []string{
	"Family", "Close friends", "Friends", "Work", "Neighbours", "School", "University", "Football", "Book club", "Choir",
	"Running", "Parents", "Clients", "Suppliers", "Travel", "Board games", "Volunteers", "Gym", "Old flat", "Emergency",
}

var mailDomains = []string{"example.com", "example.org", "example.net", "mail.example", "post.example"}

var phonePrefixes = []struct {
	prefix string
	digits int
}{
	{"+1415", 7}, {"+1646", 7}, {"+447", 9}, {"+4915", 9}, {"+336", 8}, {"+346", 8}, {"+3933", 8}, {"+4670", 7},
	{"+9198", 8}, {"+5511", 9}, {"+8190", 8}, {"+23480", 8},
}

// PersonName returns a full name.
func PersonName(random *Random) string { return random.Word(firstNames) + " " + random.Word(lastNames) }

// CompanyName returns the name of the number-th company of a world; different numbers may share a name.
func CompanyName(seed, number int64) string {
	random := NewRandom(seed, streamCompanies, number)
	return random.Word(companyHeads) + " " + random.Word(companyTails) + random.Word(companyForms)
}

// JobTitle returns a job title.
func JobTitle(random *Random) string { return random.Word(jobLevels) + random.Word(jobs) }

// CircleName returns the name of a circle.
func CircleName(random *Random) string { return random.Word(circleNames) }

// Phone returns a number in E.164 form; different numbers (below 10^7) of the same country never collide.
func Phone(random *Random, number int64) string {
	country := phonePrefixes[random.Intn(len(phonePrefixes))]
	tail := fmt.Sprintf("%0*d", country.digits, random.Uint64()%1000*10_000_000+uint64(number*7_654_321%10_000_000))
	return country.prefix + tail[len(tail)-country.digits:]
}

// Handle returns an ASCII name for addresses and usernames: maria.garcia, or user where nothing ASCII is left.
func Handle(name string) string {
	handle := make([]byte, 0, len(name))
	for _, letter := range strings.ToLower(name) {
		switch {
		case letter >= 'a' && letter <= 'z', letter >= '0' && letter <= '9':
			handle = append(handle, byte(letter))
		case letter == ' ' || letter == '-':
			handle = append(handle, '.')
		default:
			handle = append(handle, asciiLetters[letter]...)
		}
	}
	if cleaned := strings.Trim(string(handle), "."); cleaned != "" {
		return cleaned
	}
	return "user"
}

var asciiLetters = map[rune]string{
	'á': "a", 'ã': "a", 'ä': "ae", 'ç': "c", 'è': "e", 'é': "e", 'ğ': "g", 'í': "i", 'ı': "i", 'ñ': "n", 'ó': "o", 'ö': "oe", 'ø': "o",
	'ş': "s", 'ú': "u", 'ü': "ue",
}

// Email returns an address of the principal with this name and number.
func Email(random *Random, name string, number int64) string {
	return fmt.Sprintf("%s%d@%s", Handle(name), number, random.Word(mailDomains))
}

// Username returns the username of a principal.
func Username(name string, number int64) string {
	return fmt.Sprintf("%s_%d", strings.ReplaceAll(Handle(name), ".", "_"), number)
}
